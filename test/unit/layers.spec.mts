import { expect } from 'chai';

interface Check {
  layerProblemsOf(sources: ReadonlyMap<string, string>): string[];
}

const { layerProblemsOf }: Check = await import(new URL('../../scripts/check-layers.mjs', import.meta.url).href);

const problems = (sources: Record<string, string>): string[] => layerProblemsOf(new Map(Object.entries(sources)));

describe('layers of lib/', () => {
  it('may be imported from above, and within one', () => {
    const sources = {
      'lib/install.ts': "import { Stream } from './bindings/stream';",
      'lib/bindings/stream.ts': "import { a } from './closed';\nimport { b } from '../primordials';",
      'lib/bindings/closed.ts': "import { errno } from '../native';",
      'lib/native/index.ts': '',
      'lib/primordials.ts': '',
    };
    expect(problems(sources)).to.deep.equal([]);
  });

  it('are not imported from below, not for a type and not late', () => {
    const up = [
      "import type { X } from '../install';",
      "const late = () => require('../install');",
      "let x: import('../install').X;",
    ];
    for (const line of up) {
      const found = problems({ 'lib/install.ts': '', 'lib/context/phases.ts': line });
      expect(found).to.deep.equal(['lib/context/phases.ts (context) imports lib/install.ts (start): upwards']);
    }
  });

  it('have no circle, however long', () => {
    const sources = {
      'lib/bindings/a.ts': "import './b';",
      'lib/bindings/b.ts': "import type { C } from './c';",
      'lib/bindings/c.ts': "// import './none';\nexport const a = () => require('./a');",
    };
    expect(problems(sources)).to.deep.equal([
      'a circle: lib/bindings/a.ts → lib/bindings/b.ts → lib/bindings/c.ts → lib/bindings/a.ts',
    ]);
  });
});
