/**
 * What tsloop needs later does not come through what a program owns: its mocks, its hooks of `require`, its descriptors. A
 * program that has changed these before it first uses a socket sees what it sees on plain Node.
 */
import { twin } from '../support/twin.mjs';

/** Strict mode would load everything at the start. */
const lazy = { env: { TSLOOP_STRICT: '0' } };

const EXCHANGE = `
  const server = t.net.createServer((socket) => socket.end('pong'));
  const client = t.net.connect(await t.listen(server), '127.0.0.1');
  client.on('data', (data) => t.trace('data', String(data)));
  await t.closed(client);
  server.close();
  const socket = t.dgram.createSocket('udp4');
  await new Promise((bound) => socket.bind(0, '127.0.0.1', bound));
  socket.close();
  t.trace('child', ...(await t.once(t.cp.spawn('true'), 'exit')), String(t.cp.execFileSync('echo', ['said'])));
`;

describe('reports: what is needed later', () => {
  const situations: Record<string, string> = {
    'fs.readFileSync answers with something else': `
      const { readFileSync } = t.fs;
      t.fs.readFileSync = () => '{}';
      process.prependListener('exit', () => { t.fs.readFileSync = readFileSync; });`,
    'fs.readFileSync answers with nothing': `
      const { readFileSync } = t.fs;
      t.fs.readFileSync = () => undefined;
      process.prependListener('exit', () => { t.fs.readFileSync = readFileSync; });`,
    'every function of fs throws': `
      const real = { ...t.fs };
      const { writeSync, readdirSync, readlinkSync } = real;
      for (const name of Object.keys(t.fs))
        if (typeof t.fs[name] === 'function') t.fs[name] = () => { throw new Error('mocked: ' + name); };
      Object.assign(t.fs, { writeSync, readdirSync, readlinkSync });
      process.prependListener('exit', () => {
        for (const name of Object.keys(real)) if (typeof real[name] === 'function') t.fs[name] = real[name];
      });`,
    'the binding below fs is a mock': `
      const below = t.binding('fs');
      const real = { open: below.open, openFileHandle: below.openFileHandle, readFileUtf8: below.readFileUtf8 };
      for (const name of Object.keys(real))
        if (real[name]) below[name] = () => { throw Object.assign(new Error('ENOENT: mocked'), { code: 'ENOENT' }); };
      process.prependListener('exit', () => Object.assign(below, real));`,
    'Module._load refuses what it does not know': `
      const Module = t.require('node:module');
      const load = Module._load;
      Module._load = function (request) {
        if (!request.startsWith('node:')) throw new Error('not allowed: ' + request);
        return load.apply(this, arguments);
      };
      process.prependListener('exit', () => { Module._load = load; });`,
    'require is told of by a hook': `
      const Module = t.require('node:module');
      const load = Module._load;
      Module._load = function (request) {
        if (!/^node:(net|dgram|child_process|events)$/.test(request)) t.trace('asked for', request);
        return load.apply(this, arguments);
      };
      process.prependListener('exit', () => { Module._load = load; });`,
    'what is compiled is told of by a hook': `
      const { _extensions } = t.require('node:module');
      const compile = _extensions['.js'];
      _extensions['.js'] = function (module, file) { t.trace('compiled', file); return compile.apply(this, arguments); };
      process.prependListener('exit', () => { _extensions['.js'] = compile; });`,
    'the directory is gone': `
      t.fs.mkdirSync(t.path('gone'));
      process.chdir(t.path('gone'));
      t.fs.rmdirSync(t.path('gone'));
      process.prependListener('exit', () => process.chdir('/'));`,
  };
  for (const [title, source] of Object.entries(situations)) {
    twin(title, { ...lazy, given: `${source}\n${EXCHANGE}` }, async (t, given: string) => {
      const AsyncFunction = (async () => {}).constructor as new (
        name: string,
        source: string,
      ) => (bench: typeof t) => Promise<void>;
      await new AsyncFunction('t', given)(t);
    });
  }

  twin(
    'no descriptor is left when net is first used: an error event, and no word of ours',
    { ...lazy, traffic: false, drivers: ['inline'], given: null },
    async (t) => {
      const program = `
        const fs = require('node:fs'), held = [];
        try { for (;;) held.push(fs.openSync('/dev/null')); } catch {}
        const free = () => { for (const fd of held.splice(0)) fs.closeSync(fd); };
        process.on('warning', (warning) => { free(); console.log('warning', warning.message); });
        require('node:net').createServer().on('error', (error) => { free(); console.log(error.code, error.syscall); }).listen(0);`;
      const child = t.cp.spawnSync('/bin/sh', [
        '-c',
        'ulimit -n 64; exec "$@"',
        'sh',
        process.execPath,
        ...process.execArgv,
        '-e',
        program,
      ]);
      t.trace(child.status, String(child.stdout), String(child.stderr));
    },
  );
});
