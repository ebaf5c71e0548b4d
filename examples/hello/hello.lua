-- GET /hello/<name>: the smallest plugin. A handler may be just a function; a string is text.
return function(self, request, values)
  return ("Hello, %s!\n"):format(values.name)
end
