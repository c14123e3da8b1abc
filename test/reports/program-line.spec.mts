/** Finders of leaks keep the stack of `init`, of which V8 keeps ten frames: the program's is among them as on plain Node. */
import { twin } from '../support/twin.mjs';

describe('reports: the line of the program in the stacks of async hooks', () => {
  for (const limit of [10, 12, 100, 0]) {
    twin(`every kind of handle, with ${limit} frames`, { given: { limit }, ledger: false }, async (t, given) => {
      Error.stackTraceLimit = given.limit;
      const seen: [string, string, boolean, boolean][] = [];
      let stage = '';
      t.hooks
        .createHook({
          init(_id, type, _trigger, resource) {
            if (!/^(TCP|TCPSERVER|PIPE|PIPESERVER|UDP|PROCESS)WRAP$/.test(type) || stage === '') return;
            const holder: { stack?: string } = {};
            Error.captureStackTrace(holder);
            const lines = String(holder.stack).split('\n').slice(1);
            // The first line is this hook's own.
            seen.push([
              stage,
              type,
              lines.slice(1).some((line) => line.includes('makesHandles')),
              typeof resource === 'object',
            ]);
          },
        })
        .enable();
      const makers: Record<string, () => unknown> = {
        listen: () => t.net.createServer().listen(0, '127.0.0.1'),
        'listen on a path': () => t.net.createServer().listen(t.path('a')),
        connect: () => t.net.connect(1, '127.0.0.1').on('error', () => {}),
        'connect to a path': () => t.net.connect(t.path('b')).on('error', () => {}),
        datagrams: () => t.dgram.createSocket('udp4'),
        spawn: () => t.cp.spawn(process.execPath, ['-e', '0']),
        exec: () => t.cp.execFile(process.execPath, ['-e', '0']),
      };
      for (const [name, make] of Object.entries(makers)) {
        stage = name;
        (function makesHandles() {
          make();
        })();
        stage = '';
      }
      t.trace(seen, Error.stackTraceLimit);
      await t.turn();
      process.exit();
    });
  }

  twin('what a hook makes in turn, two hooks, and one that is there for ends only', async (t) => {
    const lanes = ['one', 'two'].map((name) => t.lane(name));
    let made = false;
    let on = false;
    for (const lane of lanes)
      t.hooks
        .createHook({
          init(id, type, trigger, resource) {
            if (!on || !/^(TCPWRAP|UDPWRAP|TCPSERVERWRAP|JSSTREAM)$/.test(type)) return;
            lane(
              type,
              id > trigger,
              resource.constructor.name,
              (resource as { getAsyncId?(): number }).getAsyncId?.() === id,
            );
            if (made) return;
            made = true;
            t.dgram.createSocket('udp4').close();
          },
        })
        .enable();
    const ended: number[] = [];
    t.hooks.createHook({ destroy: (id) => void ended.push(id) }).enable();
    on = true;
    const server = t.net.createServer((socket) => socket.end());
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1').resume();
    const id = (client as unknown as { _handle: { getAsyncId(): number } })._handle.getAsyncId();
    await t.closed(client);
    await new Promise((fulfil) => server.close(fulfil));
    await t.sleep(20);
    t.trace(ended.filter((one) => one === id).length);
  });
});
