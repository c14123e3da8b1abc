// The preload for --import: the very instance that --require would get, as there must be one state per environment.
// Builtins keep a separate view for `import { x } from 'node:net'`; what the boot sequence put onto the CommonJS
// exports reaches that view here. Bindings need nothing: they are replaced before anybody reads them.
import { createRequire, syncBuiltinESMExports } from 'node:module';

createRequire(import.meta.url)('./register.js');
syncBuiltinESMExports();
