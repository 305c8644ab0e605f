// Writes messages/*.ts from the JSON Schemas: `npm run types`. A schema changed? Run it again.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { compile } from "json-schema-to-typescript";

const schemas = new URL("../../../../contracts/schemas/", import.meta.url);
const folder = new URL("messages/", import.meta.url);

// A title on a field would give every field a named type of its own.
const untitled = (node, isField = false) => {
  if (Array.isArray(node)) return node.map((each) => untitled(each));
  if (node === null || typeof node !== "object") return node;
  const kept = Object.entries(node).filter(([name]) => !(isField && name === "title"));
  return Object.fromEntries(
    kept.map(([name, value]) => {
      if (name !== "properties") return [name, untitled(value, name === "items")];
      const fields = Object.entries(value).map(([field, each]) => [field, untitled(each, true)]);
      return [name, Object.fromEntries(fields)];
    }),
  );
};

await mkdir(folder, { recursive: true });
for (const name of ["ReturnRequest", "ReturnStatusChanged"]) {
  const schema = untitled(JSON.parse(await readFile(new URL(`${name}.json`, schemas), "utf8")));
  const types = await compile(schema, name, {
    additionalProperties: false,
    bannerComment: `// Generated from contracts/schemas/${name}.json by types.mjs; not to be edited.`,
    maxItems: -1,
  });
  await writeFile(new URL(`${name}.ts`, folder), types);
}
