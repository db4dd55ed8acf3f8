// src/api/schema.d.ts from the gateway's own OpenAPI document, with the calls of CONSOLE_ADMIN=1.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import openapi, { astToString } from "openapi-typescript";

const program = `
import json
from gateway.app import create_app
from gateway.settings import Settings
print(json.dumps(create_app(Settings(console_admin=True)).app.openapi()))
`;
const python = process.env.PYTHON ?? "../.venv/bin/python";
const document = execFileSync(python, ["-c", program], { encoding: "utf-8", maxBuffer: 2 ** 26 });
writeFileSync("src/api/schema.d.ts", astToString(await openapi(JSON.parse(document))));
