import { expect } from 'chai';
import { standsAt } from '../../dist/boot/share.js';

/** How many of a fleet a share chooses. */
function chosen(share: number, fleet: readonly (readonly [string, number, number])[]): number {
  return fleet.filter(([host, pid, worker]) => standsAt(host, pid, worker) < share).length;
}

const shares = [0.01, 0.05, 0.25, 0.5, 0.9];

describe('boot/share', () => {
  it('lies between 0, always, and 1, never', () => {
    for (let pid = 1; pid < 1000; pid += 1)
      expect(standsAt('host', pid, 0))
        .to.be.within(0, 1)
        .and.below(1);
  });

  it('chooses the share of containers whose process has the same number, and of processes of one host', () => {
    const containers = Array.from({ length: 4000 }, (_, index) => [`web-7d4b9c-${index.toString(36)}`, 1, 0] as const);
    const processes = Array.from({ length: 4000 }, (_, index) => ['host', 2000 + index, 0] as const);
    for (const share of shares) {
      // Five standard deviations of a draw.
      const most = 5 * Math.sqrt((share * (1 - share)) / 4000);
      for (const fleet of [containers, processes]) expect(chosen(share, fleet) / 4000).to.be.closeTo(share, most);
    }
  });

  it('chooses of few workers of a cluster nearly the share, whatever the host is called', () => {
    for (const host of ['a', 'web-1', 'db.example', 'x'.repeat(64)]) {
      for (const share of [0.25, 0.5, 0.75]) {
        for (const workers of [4, 8, 16, 64]) {
          const fleet = Array.from({ length: workers }, (_, index) => [host, 4711, index + 1] as const);
          expect(chosen(share, fleet), `${host} ${share} of ${workers}`).to.be.closeTo(
            share * workers,
            workers > 16 ? 2 : 1,
          );
        }
      }
    }
  });

  it('gives a larger share whoever a smaller one has', () => {
    for (let pid = 1; pid < 200; pid += 1) {
      const at = standsAt('host', pid, 0);
      for (const [index, share] of shares.entries()) if (at < share) expect(at).to.be.below(shares[index + 1] ?? 1);
    }
  });
});
