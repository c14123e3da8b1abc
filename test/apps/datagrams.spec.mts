/** Unmodified servers that live on datagrams: a DNS server and a statsd server from npm. */
import { twin } from '../support/twin.mjs';

describe('apps: datagrams', () => {
  const options = { timeout: 30_000 } as const;

  twin('dns2: a server, and a resolver that asks it', options, async (t) => {
    const dns2 = t.require('dns2');
    const { Packet } = dns2;
    // biome-ignore lint/suspicious/noExplicitAny: the package has no types
    const handle = (request: any, send: (response: unknown) => void): void => {
      const response = Packet.createResponseFromRequest(request);
      const [question] = request.questions;
      response.answers.push({
        name: question.name,
        type: Packet.TYPE.A,
        class: Packet.CLASS.IN,
        ttl: 300,
        address: `10.0.0.${question.name.split('.')[0].slice(1)}`,
      });
      send(response);
    };
    const server = dns2.createServer({ udp: true, handle });
    await server.listen({ udp: { port: 0, address: '127.0.0.1' } });
    const { port } = server.addresses().udp;
    const { Resolver } = require('node:dns').promises;
    const resolver = new Resolver();
    resolver.setServers([`127.0.0.1:${port}`]);
    const names = Array.from({ length: 100 }, (_, index) => `h${index + 1}.example.org`);
    t.trace(await Promise.all(names.map((name) => resolver.resolve4(name))));
    const resolve = dns2.UDPClient({ dns: '127.0.0.1', port });
    // biome-ignore lint/suspicious/noExplicitAny: as above
    t.trace((await resolve('h7.example.org')).answers.map(({ name, address }: any) => [name, address]));
    await server.close();
  });

  // It has no way to be stopped but to leave, and calls what Node 23 has taken away.
  const alone = { ...options, ledger: false, before: 23 } as const;
  twin('statsd: metrics of many clients, with lines that are none', alone, async (t) => {
    const free = t.dgram.createSocket('udp4');
    free.bind(0, '127.0.0.1');
    await t.once(free, 'listening');
    const { port } = free.address();
    const console = t.net.createServer();
    const mgmt = await t.listen(console);
    await Promise.all([t.closed(free.close()), t.closed(console.close())]);
    // Its log has the time of day in it.
    globalThis.console.log = () => {};
    const config = { port, address: '127.0.0.1', mgmt_port: mgmt, mgmt_address: '127.0.0.1', backends: [] };
    process.argv[2] = t.path('config.js');
    t.fs.writeFileSync(process.argv[2], JSON.stringify({ ...config, flushInterval: 3_600_000 }));
    t.require('statsd/stats.js');
    const ask = (what: string): Promise<string> =>
      new Promise((fulfil) => {
        const client = t.net.connect(mgmt, '127.0.0.1', () => client.write(`${what}\n`));
        let told = '';
        client.on('data', (data) => {
          told += data;
          if (told.endsWith('END\n\n')) client.end();
        });
        client.on('close', () => fulfil(told));
        client.on('error', () => {});
      });
    const counted = async (packets: string): Promise<void> => {
      while (!(await ask('counters')).includes(`packets_received': ${packets}`)) await t.sleep(5);
    };
    await counted('0');
    const clients = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const client = t.dgram.createSocket('udp4');
        client.bind(0, '127.0.0.1');
        await t.once(client, 'listening');
        return client;
      }),
    );
    for (let round = 1; round <= 20; round++) {
      for (const [index, client] of clients.entries()) {
        client.send(`hits:1|c\nby.${index}:2|c|@0.5\nlevel:${round}|g\ntook:${index}|ms`, port, '127.0.0.1');
        client.send(round % 2 === 0 ? 'no metric at all|?' : '', port, '127.0.0.1', (error) => error && t.trace(error));
      }
      // As many as the kernel holds at a time.
      await counted(String(round * 20));
    }
    t.trace(await ask('counters'), await ask('gauges'));
    t.trace((await ask('timers')).match(/\d+/g)?.length);
    for (const client of clients) client.close();
    process.exit(0);
  });
});
