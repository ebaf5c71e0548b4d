std = "luajit"
max_line_length = 100
exclude_files = { "build" }
ignore = { "212/self", "212/request", "212/values", "212/settings" } -- invoke's arguments are fixed
files["spec"] = { std = "+busted" }
files["plugins/*/spec"] = { std = "+busted" }
files["examples/*/spec"] = { std = "+busted" }
files["examples/*/plugin/spec"] = { std = "+busted" }
files["lua/templates/*/spec"] = { std = "+busted" }
