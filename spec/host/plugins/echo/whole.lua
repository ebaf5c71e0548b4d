-- So many KiB, at once.
return function(_, _, values)
  return ("y"):rep(1024 * values.kilobytes)
end
