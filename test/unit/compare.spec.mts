/** What counts as a difference between two runs. */
import { expect } from 'chai';
import { differences, showing } from '../support/compare.mjs';

const ending = { code: 0, signal: null, timedOut: false, milliseconds: 1, stdout: '', stderr: '' };
const run = (...rows: object[]) => showing(ending, rows.map((row) => JSON.stringify(row)).join('\n'));
const pid = { label: 'PID1', value: '20000' };
const line = (...items: unknown[]): object => ({ lane: 'main', line: items });

describe('the comparison of two runs', () => {
  const parts = { stderr: true };

  it('takes a count that is the number of a process in one of them for the count that it is', () => {
    const plain = run({ label: 'PID1', value: '17' }, line('bytes', 20000, { of: ['PID1'] }));
    expect(differences(plain, run(pid, line('bytes', 'PID1', { of: ['PID1'] })), parts)).to.deep.equal([]);
    expect(differences(plain, run(pid, line('bytes', 20000, { of: ['PID1'] })), parts)).to.deep.equal([]);
  });

  it('finds what differs', () => {
    const plain = run(line('bytes', 20001, { a: 1 }));
    for (const other of [
      line('bytes', 'PID1', { a: 1 }),
      line('bytes', 20001, { a: 2 }),
      line('bytes', 20001, { b: 1 }),
      line('bytes', 20001),
      line('bytes', 20001, null),
    ])
      expect(differences(plain, run(pid, other), parts)).to.have.lengthOf(1);
    expect(differences(plain, run(pid), parts)).to.have.lengthOf(1);
  });
});
