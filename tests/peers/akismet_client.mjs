// The package @cedx/akismet of npm, unchanged but for its base address: prints one JSON object with what it was answered.
// Usage: akismet_client.mjs http://127.0.0.1:8080 KEY FOLDER-WITH-NODE-MODULES
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [base, key, folder] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${folder}/x.js`));
const { Author, Blog, CheckResult, Client, Comment } = await import(pathToFileURL(require.resolve("@cedx/akismet")));
const client = new Client(key, new Blog({ url: "https://help.example" }), { baseUrl: base });
const author = new Author({ email: "bo@mail.example", ipAddress: "192.0.2.20", name: "Bo", role: "guest" });
const comment = new Comment({ author, content: "Where can I find the export of last month?", permalink: "https://help.example/t/9" });
const name = (result) => Object.entries(CheckResult).find(([, value]) => value === result)?.[0] ?? String(result);
const test = new Comment({ author: new Author({ ipAddress: "192.0.2.21", name: "akismet-guaranteed-spam" }), content: "x" });
const answers = { verify: await client.verifyKey(), good: name(await client.checkComment(comment)), test: name(await client.checkComment(test)) };
await client.submitHam(comment);
await client.submitSpam(new Comment({ author, content: "Buy followers now, cheap and fast", permalink: "https://help.example/t/10" }));
answers.submitted = true;
console.log(JSON.stringify(answers));
