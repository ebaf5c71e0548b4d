# Turns text files into C: awk -f library.awk FILE... > library.c   (in the order given)

function close_file() {
  if (count > 0) print ";"
}

BEGIN {
  count = 0
  print "// Made by host/script/library.awk; see library.h."
  print "#include \"host/script/library.h\"\n"
  print "#pragma GCC diagnostic ignored \"-Woverlength-strings\""
}

FILENAME != path {
  close_file()
  path = FILENAME
  paths[count] = path
  printf "\nstatic const char text_%d[] = \"\"\n", count++
}

{
  gsub(/[\\"?]/, "\\\\&") # the question mark because of trigraphs
  gsub(/\r/, "\\r")
  print "\"" $0 "\\n\""
}

END {
  close_file()
  print "\nconst LibraryFile library_files[] = {"
  for (i = 0; i < count; i++)
    printf "  { \"%s\", text_%d, sizeof(text_%d) - 1 },\n", paths[i], i, i
  print "  { 0, 0, 0 },\n};"
  printf "const size_t library_file_count = %d;\n", count
}
