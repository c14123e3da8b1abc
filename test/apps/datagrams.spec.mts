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

  twin('statsd: counters of a client, read back over its own port', { ...options, ledger: false }, async (t) => {
    const { createSocket } = t.dgram;
    const free = createSocket('udp4');
    free.bind(0, '127.0.0.1');
    await t.once(free, 'listening');
    const { port } = free.address();
    t.port(port);
    await new Promise((done) => free.close(() => done(null)));
    const config = t.path('config.js');
    const management = t.net.createServer();
    const managed = await t.listen(management);
    await new Promise((done) => management.close(done));
    t.fs.writeFileSync(
      config,
      `{ port: ${port}, address: '127.0.0.1', mgmt_address: '127.0.0.1', mgmt_port: ${managed}, backends: [], flushInterval: 60000, graphiteHost: '' }`,
    );
    process.argv[2] = config;
    // It says when it started and as which process.
    console.log = () => {};
    t.require('statsd/stats.js');
    const StatsD = t.require('hot-shots');
    const ask = (): Promise<string> =>
      new Promise((done, reject) => {
        const client = t.net.connect(managed, '127.0.0.1');
        let text = '';
        client.on('error', reject);
        client.on('connect', () => client.write('counters\n'));
        client.on('data', (data) => {
          text += data;
          if (text.includes('END')) client.end();
        });
        client.on('close', () => done(text));
      });
    let ready = false;
    while (!ready) {
      await t.sleep(20);
      ready = await ask().then(
        () => true,
        () => false,
      );
    }
    const client = new StatsD({ host: '127.0.0.1', port });
    for (let index = 0; index < 500; index++) await new Promise((done) => client.increment('hits', 1, done));
    let text = '';
    while (!text.includes('hits: 500')) {
      await t.sleep(20);
      text = await ask();
    }
    t.trace(/hits: \d+/.exec(text)?.[0]);
    await new Promise((done) => client.close(done));
    process.exit(0);
  });
});
