-- GET /hello: the least a request can do.
return function()
  return "Hello, world!\n"
end
