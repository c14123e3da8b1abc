/** What ends a read early though more lies behind it: nothing of that may wait for another event. */
import { twin } from '../support/twin.mjs';

const urgent = `
import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.send(b'one'); s.send(b'X', socket.MSG_OOB); s.send(b'two'); s.send(b'three')
print('sent', flush=True); sys.stdin.read()`;

const descriptors = `
import array, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendmsg([b'one'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [1]))]); s.send(b'two'); s.send(b'three')
print('sent', flush=True); sys.stdin.read()`;

describe('reports: reads that end early', () => {
  for (const [what, program] of [
    ['urgent bytes over TCP', urgent],
    ['descriptors over a unix-domain socket', descriptors],
  ] as const)
    twin(what, { given: { what, program } }, async (t, { what, program }) => {
      const path = t.path('socket');
      const server = t.net.createServer({ pauseOnConnect: true });
      const port = await t.listen(server, what.includes('TCP') ? { port: 0, host: '127.0.0.1' } : { path });
      const child = t.cp.spawn('python3', ['-c', program, String(port || path)], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      const [socket] = (await t.once(server, 'connection')) as [import('node:net').Socket];
      await t.once(child.stdout, 'data');
      let text = '';
      socket.on('data', (data) => {
        text += data;
      });
      socket.resume();
      // The peer stays until it has all been told.
      await t.until(() => text.endsWith('three'));
      t.trace(text);
      child.stdin.end();
      await t.closed(socket);
      server.close();
    });
});
