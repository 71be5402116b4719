// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

import { rooms } from './eslint.rooms.js';

export default tseslint.config(
  { ignores: ['.make/', 'dist/', 'node_modules/', 'coverage/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      // All files in one program, but for those that run in a browser: the service would
      // parse most of them again for each of the other configurations, which only say where
      // their output goes.
      parserOptions: {
        project: ['tsconfig.json', 'src/page/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      // Numbers in messages are what they are.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true },
      ],
      // erasableSyntaxOnly refuses enums, so nothing wrong can be assigned to one; to ask it
      // everywhere takes a twentieth of the time.
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
      // An output without listeners has nothing to do.
      '@typescript-eslint/no-empty-function': 'off',
      'no-empty': ['error', { allowEmptyCatch: false }],
    },
  },
  {
    files: ['src/**/*.ts', 'src/**/*.tsx'],
    rules: {
      'no-restricted-syntax': [
        'error',
        // `constructor` and `__proto__` are in every object, and in no Map.
        {
          selector:
            'VariableDeclarator[init.type="ObjectExpression"] > Identifier.id TSTypeReference[typeArguments.params.0.type="TSStringKeyword"]',
          message: 'Look up text in a Map: every object has `constructor` in it.',
        },
        // An error that nobody looks at may be another than the one that was meant.
        {
          selector: 'CatchClause[param=null]',
          message: 'Say which error is expected, and throw any other on.',
        },
        {
          selector:
            'CallExpression[callee.property.name="catch"] > ArrowFunctionExpression[params.length=0]',
          message: 'Say which error is expected, and throw any other on.',
        },
        {
          selector:
            'MemberExpression[object.property.name=/^std(out|err)$/][property.name="write"]',
          message:
            'Print by system/output.ts, which makes foreign text safe for a terminal.',
        },
        {
          selector:
            'MemberExpression[computed=true][object.type="ObjectExpression"][property.type!="Literal"]',
          message: 'Look up text in a Map: every object has `constructor` in it.',
        },
        // Arguments lie on the stack, so a long list spread into them is a RangeError:
        // see src/text/lists.ts.
        {
          selector: ':matches(CallExpression, NewExpression) > SpreadElement',
          message:
            'A spread list must fit the stack. Pass the list, or use text/lists.ts.',
        },
        {
          selector: 'CallExpression[callee.property.name="apply"]',
          message: 'A list that is applied must fit the stack. Pass the list.',
        },
      ],
    },
  },
  ...rooms,
  {
    files: ['**/*.js', '**/*.mjs'],
    languageOptions: {
      globals: { process: 'readonly', console: 'readonly', URL: 'readonly' },
    },
  },
  {
    files: ['bin/*.js'],
    languageOptions: { sourceType: 'commonjs' },
  },
);
