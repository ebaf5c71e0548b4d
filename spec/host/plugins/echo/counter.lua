-- Calls of /smuggled since the plugin was loaded.
return { smuggled = 0 }
