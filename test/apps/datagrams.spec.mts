/** An unmodified server that lives on datagrams: a DNS server from npm. */
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
});
