-- The form's fields and files, one a line.
return function(_, request)
  local lines = {}
  for name, value in request.form:pairs() do lines[#lines + 1] = name .. "=" .. value end
  for name, file in request.files:pairs() do
    lines[#lines + 1] = ("%s: %s (%s) %s"):format(name, file.filename, file.content_type, file.body)
  end
  return table.concat(lines, "\n")
end
