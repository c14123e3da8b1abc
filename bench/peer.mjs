// @ts-check
// What the programs under test need around them: the HTTP server that client cells talk to, and certificates.
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { Program } from './program.mjs';

/** @param {string} command */
export function onPath(command) {
  // nginx lives where only root's PATH leads on some systems.
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];
  return places.map((place) => join(place, command)).find((file) => existsSync(file));
}

/** @returns {Promise<number>} a port nobody listens on at this moment */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port on the loopback interface');
  return address.port;
}

/**
 * nginx where it is installed, our own responder elsewhere. One worker: the machine is shared with what is measured.
 * @param {string} loadgen @param {string} scratch @param {NodeJS.ProcessEnv} env
 * @returns {Promise<{ url: string, name: string, stop: () => Promise<void> }>}
 */
export async function startPeer(loadgen, scratch, env) {
  const nginx = onPath('nginx');
  if (!nginx) {
    const own = new Program(loadgen, ['serve', '--size', '64'], env);
    const { port } = await own.line();
    return { url: `http://127.0.0.1:${port}/`, name: 'tsloop-loadgen serve', stop: () => own.stop() };
  }
  const port = await freePort();
  const configuration = join(scratch, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    configuration,
    `daemon off;
worker_processes 1;
pid ${scratch}/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 100000000;
${temporary.map((name) => `  ${name}_temp_path ${scratch}/nginx-${name};`).join('\n')}
  server {
    listen 127.0.0.1:${port};
    location / { default_type text/plain; return 200 "${'x'.repeat(64)}"; }
  }
}
`,
  );
  const server = new Program(nginx, ['-e', 'stderr', '-p', scratch, '-c', configuration], env);
  const url = `http://127.0.0.1:${port}/`;
  for (let attempt = 0; ; attempt += 1) {
    try {
      const response = await fetch(url);
      if ((await response.text()).length === 64) break;
    } catch (error) {
      if (attempt === 100) {
        await server.stop();
        throw new Error(`nginx does not answer: ${error}`);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { url, name: 'nginx', stop: () => server.stop() };
}

/**
 * A self-signed certificate for the length of this run.
 * @param {string} scratch @param {'ec' | 'rsa'} kind
 */
export function makeCertificate(scratch, kind) {
  const [key, certificate] = [join(scratch, `${kind}-key.pem`), join(scratch, `${kind}-certificate.pem`)];
  const algorithm = kind === 'ec' ? ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'] : ['rsa:2048'];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const files = ['-keyout', key, '-out', certificate];
  execFileSync('openssl', ['req', '-x509', '-nodes', '-days', '2', '-newkey', ...algorithm, ...subject, ...files], {
    stdio: 'ignore',
  });
  return { key, certificate };
}
