// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Prints the copyright file of the Debian package: the licences of l4lb, and those of the
 * node packages that it carries.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';

const RULE = '-'.repeat(78);

/** A long licence that Debian has is only named, as its policy asks. */
function licenceOf(folder, license) {
  const name = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
  const text = name && readFileSync(`${folder}/${name}`, 'utf8').trim();
  if (license !== 'Apache-2.0') return text;
  const [owner] = /^ *Copyright \d.*$/m.exec(text ?? '') ?? [''];
  return `${owner.trim()}\n\nThe licence is in /usr/share/common-licenses/Apache-2.0.`;
}

const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'));
const list = ['ls', '--omit=dev', '--all', '--parseable'];
const folders = execFileSync('npm', list, { encoding: 'utf8' }).trim().split('\n');
/** The page is made of them. */
const ofPage = ['node_modules/preact', 'node_modules/uplot'];
const packages = [...folders.slice(1), ...ofPage].map((folder) => {
  const { license, author, ...its } = JSON.parse(
    readFileSync(`${folder}/package.json`, 'utf8'),
  );
  const who = typeof author === 'string' ? author : (author?.name ?? 'its authors');
  const text = licenceOf(folder, license) ?? `Copyright ${who}`;
  return `${RULE}\n${its.name} ${its.version} (${license})\n\n${text}\n`;
});

const bsd = readFileSync('LICENSES/BSD-2-Clause.txt', 'utf8').trim();
process.stdout.write(`${name} ${version}

${readFileSync('LICENSE', 'utf8').trim()}

On Debian systems the GNU General Public License, version 2, is in
/usr/share/common-licenses/GPL-2. The BSD 2-Clause License:

${bsd}

The files in /usr/lib/l4lb/dist contain the following node packages;
/usr/lib/l4lb/node_modules has one of them, blessed, without the parts that no command needs.

${packages.join('\n')}`);
