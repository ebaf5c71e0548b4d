// The npm packages of the specs. They lie in build/npm (see the Makefile), beside no source file, so
// they are required from there.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));
export const require = createRequire(root + "build/npm/package.json");
