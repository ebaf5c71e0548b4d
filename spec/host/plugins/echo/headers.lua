-- The values of the header that ?name= asks for, one a line.
return function(_, request)
  return table.concat(request.headers:get_all(request.args.name), "\n")
end
