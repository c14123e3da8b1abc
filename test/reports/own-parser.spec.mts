/** A parser of http's that a program itself puts on a socket gets the bytes, and lets go of them again. */
import { twin } from '../support/twin.mjs';

// The bodies use Node's private parser, which has no types.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Loose = any;

describe('reports: a parser put on a handle by the program', () => {
  for (const kind of ['tcp', 'path'] as const) {
    twin(`over ${kind}`, { given: { kind }, before: 26 }, async (t, given) => {
      const { HTTPParser }: Loose = t.require('_http_common');
      const server = t.net.createServer((socket) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        socket.once('data', (data) => {
          t.lane('server')(String(data));
          socket.end('rest');
        });
      });
      const where = given.kind === 'tcp' ? { port: 0, host: '127.0.0.1' } : { path: t.path('socket') };
      const port = await t.listen(server, where);
      const client: Loose = t.net.connect((given.kind === 'tcp' ? { port, host: '127.0.0.1' } : where) as never);
      const parser = new HTTPParser();
      parser.initialize(HTTPParser.RESPONSE, {});
      let body = '';
      parser[HTTPParser.kOnHeadersComplete] = (...args: unknown[]) => t.trace('headers', args[5]);
      parser[HTTPParser.kOnBody] = (data: Buffer) => {
        body += data;
      };
      const complete = new Promise<void>((fulfil) => {
        parser[HTTPParser.kOnMessageComplete] = fulfil;
      });
      client.on('data', (data: Buffer) => t.trace('data', String(data)));
      await t.once(client, 'connect');
      parser.consume(client._handle);
      client.resume();
      await complete;
      t.trace('body', body);
      parser.unconsume();
      client.write('go on');
      await t.closed(client);
      server.close();
    });
  }
});
