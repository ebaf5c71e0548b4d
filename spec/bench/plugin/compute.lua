-- GET /compute: about a millisecond of arithmetic, then a line of text.
return function()
  local number = 1
  for _ = 1, 20000 do number = (number * 16807) % 2147483647 end
  return number .. "\n"
end
