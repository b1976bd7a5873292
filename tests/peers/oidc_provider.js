// An OpenID provider on a loopback port (npm's oidc-provider with its own sign-in pages), for one client.
// Arguments: port, the client's return address. Whoever signs in as NAME is the subject NAME with NAME as verified
// address. NODE_MODULES is where oidc-provider is. Prints "ready" when it listens; ends with its standard input.
"use strict";
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const [port, back] = process.argv.slice(2);

(async () => {
  const main = path.join(process.env.NODE_MODULES, "oidc-provider/lib/index.js");
  const { Provider } = await import(pathToFileURL(main));
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{ client_id: "waxseal", client_secret: "a secret of the test", redirect_uris: [back] }],
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    conformIdTokenClaims: false,
    cookies: { keys: ["a key of the test"] },
    features: { devInteractions: { enabled: true } },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: id, email_verified: true }) }),
    pkce: { required: () => true },
  });
  provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
  process.stdin.resume();
  process.stdin.on("end", () => process.exit(0));
})();
