#!/usr/bin/env node
/**
 * The command `tsloop`: finds the command in a table and runs it. Exit code 2: called wrongly; else the command's own.
 *
 * A command is a module with what {@link Command} asks for, and loaded when it is called.
 */

import { nearest } from '../boot/nearest';
import { type Command, isWrongCall, WRONG_CALL } from './command';

const commands: Readonly<Record<string, () => Command>> = {
  doctor: () => require('./doctor') as typeof import('./doctor'),
  trial: () => require('./trial/command') as typeof import('./trial/command'),
};

const HELP = ['help', '--help', '-h'];

function overview(): string {
  const all = Object.values(commands).map((load) => load());
  const width = Math.max(...all.map(({ name }) => name.length));
  const rows = all.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `Usage: tsloop <command> [options]

${rows.join('\n')}

  tsloop help <command>   what a command does, and its options
  tsloop --version        the version of tsloop`;
}

/** The command of that name, or null once it has been said that there is none. */
function find(name: string): Command | null {
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load !== undefined) return load();
  const meant = nearest(name, Object.keys(commands));
  console.error(`tsloop: there is no command ${name}${meant === null ? '' : `; is ${meant} meant?`}\n\n${overview()}`);
  return null;
}

async function main(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === '--version' || first === '-v') {
    console.log((require('../../package.json') as { version: string }).version);
    return 0;
  }
  if (first === undefined) {
    console.error(overview());
    return WRONG_CALL;
  }
  const asksForHelp = HELP.includes(first);
  if (asksForHelp && rest[0] === undefined) {
    console.log(overview());
    return 0;
  }
  const command = find(asksForHelp ? (rest[0] as string) : first);
  if (command === null) return WRONG_CALL;
  // What stands behind `--` is another program's.
  const own = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest;
  if (asksForHelp || own.some((arg) => arg === '--help' || arg === '-h')) {
    console.log(command.usage);
    return 0;
  }
  try {
    return await command.run(rest);
  } catch (error) {
    if (!isWrongCall(error)) throw error;
    console.error(`tsloop ${command.name}: ${error.message}\n\n${command.usage}`);
    return WRONG_CALL;
  }
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = WRONG_CALL;
  },
);
