/** A server gives up an http2 session: the peer hears of the end, and of no error of a write that came after it. */
import { twin } from '../support/twin.mjs';

describe('reports: an http2 session that its server gives up', () => {
  twin('the request closes, without an error', async (t) => {
    for (let round = 0; round < 5; round++) {
      const server = t.http2.createServer();
      server.on('stream', (stream) => {
        stream.on('error', (error) => t.lane('server')('stream', error));
        stream.session?.destroy();
      });
      const client = t.http2.connect(`http://127.0.0.1:${await t.listen(server)}`);
      client.on('error', (error) => t.trace('session', error));
      const request = client.request();
      request.on('error', (error) => t.trace('request', error));
      request.resume();
      await new Promise((done) => request.on('close', done));
      t.trace('closed', request.rstCode);
      client.close();
      server.close();
      await t.turn();
    }
  });
});
