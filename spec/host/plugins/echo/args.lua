-- The query's pairs in their order, one a line.
return function(_, request)
  local lines = {}
  for name, value in request.args:pairs() do lines[#lines + 1] = name .. "=" .. value end
  return table.concat(lines, "\n")
end
