// Writes tests/text/files/tiktoken.jsonl: the ids that tiktoken (its WASM build from npm, 1.0.22) gives
// for the strings of make_token_file_goldens.py with the list of ranks of the same folder.
//
//     node tools/make_tiktoken_goldens.mjs FOLDER_OF_NODE_MODULES FILES_FOLDER
import {createRequire} from 'node:module';
import {readFileSync, writeFileSync} from 'node:fs';

const [modules, folder] = process.argv.slice(2);
const {Tiktoken} = createRequire(modules + '/')('tiktoken');

const ENDING = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
const PATTERN = [
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+' + ENDING,
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*' + ENDING,
  '\\p{N}{1,3}', ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*', '\\s*[\\r\\n]+', '\\s+(?!\\S)', '\\s+'].join('|');

// "! OFFSET TOKEN TOKEN .." a line of consecutive ranks.
const ranks = readFileSync(folder + '/o200k.tiktoken', 'utf8').trim().split('\n').map((line) => {
  const [token, rank] = line.split(' ');
  return `! ${rank} ${token}`;
}).join('\n');
const tokenizer = new Tiktoken(ranks, {}, PATTERN);
const texts = JSON.parse(readFileSync(folder + '/texts.json', 'utf8'));
const rows = texts.map((text) => JSON.stringify({text, ids: [...tokenizer.encode(text, [], [])]}));
writeFileSync(folder + '/tiktoken.jsonl', rows.join('\n') + '\n');
