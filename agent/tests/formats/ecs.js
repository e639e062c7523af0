// Checks events, one a line on standard input, against the field list of the Elastic Common Schema.
// Prints a line for each problem and a count at the end; exits 1 when there was one, or no event at all.
'use strict';
const { EcsFlat, EcsVersion } = require('@elastic/ecs');

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
const types = {
  long: Number.isInteger,
  float: Number.isFinite,
  boolean: (value) => typeof value === 'boolean',
  date: (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value)),
  ip: (value) => require('net').isIP(value) !== 0,
};
const isText = (value) => typeof value === 'string';

function* leaves(value, path) {
  if (!isObject(value)) return void (yield [path, value]);
  for (const [name, inner] of Object.entries(value)) yield* leaves(inner, path ? `${path}.${name}` : name);
}

function problems(event) {
  const found = [];
  if (event.ecs?.version !== EcsVersion) found.push(`ecs.version is ${event.ecs?.version}, not ${EcsVersion}`);
  for (const [path, value] of leaves(event, '')) {
    if (path.startsWith('warrantd.')) continue;
    const field = EcsFlat[path];
    if (!field) { found.push(`no field ${path}`); continue; }
    const list = (field.normalize ?? []).includes('array');
    if (list !== Array.isArray(value)) found.push(`${path}: array expected: ${list}`);
    for (const item of [].concat(value)) {
      if (!(types[field.type] ?? isText)(item)) found.push(`${path}: ${JSON.stringify(item)} is no ${field.type}`);
      const allowed = (field.allowed_values ?? []).map(({ name }) => name);
      if (allowed.length && !allowed.includes(item)) found.push(`${path}: ${item} is none of its values`);
    }
  }
  const categories = EcsFlat['event.category'].allowed_values.filter(({ name }) => event.event.category.includes(name));
  const fit = new Set(categories.flatMap((category) => category.expected_event_types ?? []));
  for (const type of event.event.type) if (!fit.has(type)) found.push(`type ${type} in ${event.event.category}`);
  return found;
}

const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean);
let bad = 0;
for (const line of lines) {
  const event = JSON.parse(line);
  const found = problems(event);
  if (found.length) { bad += 1; console.log(event.event.code, found); }
}
console.log(`${lines.length} events, ${bad} with problems, ECS ${EcsVersion}`);
process.exit(bad || !lines.length ? 1 : 0);
