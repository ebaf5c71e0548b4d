// A Lua state for specs: all of Lua, the system's modules, and moonhook.testing. Not a sandbox: it
// runs what its author started, on his own machine. The plugin under test is sandboxed as ever, in
// a state of its own.
#ifndef MOONHOOK_TESTING_SPEC_STATE_H
#define MOONHOOK_TESTING_SPEC_STATE_H

// Runs a script as a Lua interpreter does: argv[0] is its file, the rest its arguments. `script`
// may be a module of the library instead ("moonhook.testing.run"), and argv[0] then just a name.
// Returns the exit code; the script may as well end the process by os.exit.
int spec_state_run(const char *module, int argc, const char **argv);

#endif
