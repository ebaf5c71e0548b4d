-- GET /hello/<name>: a handler may be just a function; a string is sent as plain text.
return function(self, request, values, settings)
  return ("%s, %s!\n"):format(settings.greeting, values.name)
end
