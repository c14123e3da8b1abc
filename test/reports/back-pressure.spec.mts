/** Back-pressure is heard where the kernel's buffer ends, whoever drives. */
import { twin } from '../support/twin.mjs';

describe('reports: back-pressure', () => {
  for (const transport of ['path', 'tcp']) {
    for (const pause of [0, 200]) {
      twin(
        `a loop that writes until it is told to stop, ${pause} µs between writes, to a peer that never reads (${transport})`,
        { given: { transport, pause }, ledger: false },
        async (t, { transport, pause }) => {
          // What a kernel holds of one connection and what may count as written besides, with room to spare.
          const most = (transport === 'path' ? 0.5 : 12) * (1 << 20);
          const chunk = Buffer.alloc(4096, 5);
          const server = t.net.createServer({ pauseOnConnect: true }, (socket) => socket.on('error', () => {}));
          const where = transport === 'path' ? { path: 'held.sock' } : { port: 0, host: '127.0.0.1' };
          await new Promise<void>((done) => server.listen(where, done));
          const address = server.address();
          const client =
            typeof address === 'string' || address === null
              ? t.net.connect('held.sock')
              : t.net.connect(address.port, '127.0.0.1');
          client.on('error', () => {});
          await t.once(client, 'connect');
          await t.sleep(20);
          let accepted = 0;
          while (accepted < 4 * most && client.write(chunk)) {
            accepted += chunk.length;
            const until = process.hrtime.bigint() + BigInt(pause * 1000);
            while (pause > 0 && process.hrtime.bigint() < until);
          }
          t.trace('held back', accepted <= most);
          await t.sleep(30);
          client.destroy();
          server.close();
          process.exit(0);
        },
      );
    }
  }
});
