// Drives the pages with Chromium as people use them; every check that fails ends the program with status 1.
// Arguments: one JSON object: base (address of the listener), email and password of an owner who was just made on the
// command line, messages (ids in the queue), domain, shots (folder for pictures, optional), helper (the address of somebody to add), oidc
// (present: sign in by single sign-on too). NODE_MODULES is where playwright-core and axe-core are.
"use strict";
const assert = require("node:assert");
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const modules = process.env.NODE_MODULES;
const { chromium } = require(path.join(modules, "playwright-core"));
const axe = fs.readFileSync(path.join(modules, "axe-core/axe.min.js"), "utf8");

const told = JSON.parse(process.argv[2]);
const OWN = "four quiet lanterns";

// RFC 6238 with the defaults of authenticators.
function totp(key, step = Math.floor(Date.now() / 30000)) {
  const bits = [...key.replace(/\s/g, "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const secret = Buffer.from(bits.match(/.{8}/g).map((octet) => parseInt(octet, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = crypto.createHmac("sha1", secret).update(counter).digest();
  const at = mac[19] & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1000000).padStart(6, "0");
}

const failures = [];

// A click that leads to another page; Playwright itself does not wait for it.
async function press(page, button) {
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), button.click()]);
}

async function audit(page, name) {
  // Evaluated by the debugger, which no content policy concerns.
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const options = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] };
    return (await axe.run(document, options)).violations.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html).join(" | ")}`);
  });
  for (const violation of found) failures.push(`${name}: ${violation}`);
}

async function narrow(page, name) {
  for (const width of [320, 640]) {
    await page.setViewportSize({ width, height: 800 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > width) failures.push(`${name}: ${wide} pixels wide in a window of ${width}`);
  }
  await page.setViewportSize({ width: 1200, height: 800 });
}

async function shoot(page, name) {
  if (told.shots) await page.screenshot({ path: path.join(told.shots, `${name}.png`), fullPage: true });
}

function watch(page, name) {
  // What the content policy stops, a request elsewhere or a script that breaks is a failure.
  page.on("console", (message) => { if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) failures.push(`${name}: ${message.text()}`); });
  page.on("pageerror", (error) => failures.push(`${name}: ${error}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(told.base) && !url.startsWith("data:")) failures.push(`${name}: asks ${url}`);
  });
}

async function firstSignIn(browser) {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  watch(page, "first sign-in");
  await page.goto(`${told.base}/queue?state=held`);
  assert.match(page.url(), /\/login\?next=%2Fqueue/);
  await page.getByLabel("E-mail address").fill(told.email);
  await page.getByLabel("Password").fill(told.password);
  await press(page, page.getByRole("button", { name: "Sign in" }));
  assert.match(page.url(), /\/account\/password$/, "a password that was made for a person must be replaced");
  await page.goto(`${told.base}/domains`);
  assert.match(page.url(), /\/account\/password$/, "nothing else before that");
  await shoot(page, "password-en-light");
  await audit(page, "/account/password");
  const change = async (current, fresh) => {
    await page.getByLabel("Current password").fill(current);
    await page.getByLabel("New password", { exact: true }).fill(fresh);
    await page.getByLabel("New password again").fill(fresh);
    await press(page, page.getByRole("button", { name: "Change password" }));
  };
  await change(told.password, "Password2026!!");
  assert.match(await page.getByRole("alert").textContent(), /attackers try first/);
  await change(told.password, OWN);
  assert.match(page.url(), /\/account\?changed$/);
  await press(page, page.getByRole("link", { name: "Set up" }));
  const key = await page.locator("#key").textContent();
  await shoot(page, "factor-en-light");
  await audit(page, "/account/totp");
  await page.getByLabel("Code that the app shows").fill(totp(key));
  await page.getByLabel("Current password").fill(OWN);
  await press(page, page.getByRole("button", { name: "Turn on" }));
  const codes = (await page.locator("ul.codes").innerText()).trim().split(/\s+/);
  assert.strictEqual(codes.length, 10);
  await audit(page, "recovery codes");
  await press(page, page.getByRole("link", { name: "I have kept them" }));
  assert.match(await page.textContent("main"), /each sign-in asks for a code/);
  await press(page, page.getByRole("button", { name: "Sign out" }));
  assert.match(page.url(), /\/login$/);
  await context.close();
  return { key, codes };
}

async function signIn(browser, options, code, next = "/") {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  await page.goto(`${told.base}/login?next=${encodeURIComponent(next)}`);
  await page.locator("#email").fill(told.email);
  await page.locator("#password").fill(OWN);
  await press(page, page.locator("main button.main"));
  assert.match(page.url(), /\/login\/code/);
  await page.locator("#code").fill(code);
  await press(page, page.locator("main button.main"));
  assert.strictEqual(new URL(page.url()).pathname, next);
  return { context, page };
}

async function everyPage(browser, key, codes) {
  const pages = ["/", "/domains", `/domains/${told.domain}`, "/queue", ...told.messages.slice(0, 1).map((id) => `/messages/${id}`), "/people", `/people/${told.helper}`, "/tokens", "/networks", "/audit", "/account", "/account/password", "/nothing"];
  for (const [language, locale] of [["en", "en-GB"], ["ja", "ja-JP"]]) {
    for (const colorScheme of ["light", "dark"]) {
      const { context, page } = await signIn(browser, { locale, colorScheme }, codes.pop());
      for (const one of pages) {
        const name = `${one === "/" ? "overview" : one.split("/")[1]}${one.split("/").length > 2 ? "-one" : ""}-${language}-${colorScheme}`;
        watch(page, name);
        await page.goto(told.base + one);
        assert.strictEqual(await page.getAttribute("html", "lang"), language);
        if (name.startsWith("domains-one")) {
          assert.ok(await page.locator("mark").count() > 0, "the difference is marked");
          assert.match(await page.textContent("main"), language === "en" ? /next check by itself/ : /次の自動確認/);
          assert.strictEqual(await page.locator("a[download]").count(), 12, "a download for every format");
        }
        await shoot(page, name);
        if (told.shots && name === "domains-one-en-light") {
          // The picture in README.md.
          await page.setViewportSize({ width: 900, height: 780 });
          await page.screenshot({ path: path.join(told.shots, "domain.png") });
          await page.setViewportSize({ width: 1200, height: 800 });
        }
        await audit(page, name);
        if (language === "ja" || colorScheme === "light") await narrow(page, name);
        page.removeAllListeners();
      }
      await page.setViewportSize({ width: 320, height: 640 });
      await page.goto(`${told.base}/domains/${told.domain}`);
      await shoot(page, `domain-320-${language}-${colorScheme}`);
      await page.setViewportSize({ width: 1200, height: 800 });
      await press(page, page.getByRole("button", { name: language === "en" ? "Sign out" : "ログアウト" }).first());
      await shoot(page, `login-${language}-${colorScheme}`);
      await audit(page, `login-${language}-${colorScheme}`);
      await context.close();
    }
  }
}

async function withoutScript(browser, codes) {
  const { context, page } = await signIn(browser, { locale: "en-GB", javaScriptEnabled: false }, codes.pop(), "/domains");
  await page.locator("input[name=domain]").fill("noscript.example");
  await press(page, page.getByRole("button", { name: "Add", exact: true }));
  assert.match(page.url(), /\/domains\/noscript\.example$/);
  await press(page, page.getByRole("button", { name: "Check now" }));
  assert.match(page.url(), /\/domains\/noscript\.example$/);
  assert.strictEqual(await page.locator("button[data-copy]").first().isVisible(), false, "a button that needs a script is not shown");
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "BIND" }).click();
  const zone = fs.readFileSync(await (await download).path(), "utf8");
  assert.match(zone, /_domainkey\.noscript\.example/);
  if (told.messages.length) {
    await page.goto(`${told.base}/queue`);
    await press(page, page.locator("tbody a").first());
    await page.locator("input[name=reason]").fill("a look by hand");
    await press(page, page.getByRole("button", { name: "Hold", exact: true }));
    assert.match(await page.getByRole("status").first().textContent(), /Done: 1/);
    assert.match(await page.textContent("main"), /a look by hand/);
    await page.goto(`${told.base}/queue`);
    await page.locator("select[name=state]").selectOption("held");
    await press(page, page.getByRole("button", { name: "Filter" }));
    assert.strictEqual(await page.locator("tbody tr").count(), 1);
  }
  await press(page, page.getByRole("button", { name: "日本語" }));
  assert.strictEqual(await page.getAttribute("html", "lang"), "ja");
  await press(page, page.getByRole("link", { name: "監査記録" }));
  assert.match(await page.textContent("tbody"), /noscript\.example/);
  await context.close();
}

// The owner looks after people and programs; nothing of it needs a script.
async function peopleAndTokens(browser, codes) {
  const { context, page } = await signIn(browser, { locale: "en-GB", javaScriptEnabled: false }, codes.pop(), "/people");
  const secret = async () => (await page.locator("#secret").textContent()).trim();
  await page.locator("input[name=email]").fill(told.helper);
  await page.locator("select[name=role]").selectOption("moderator");
  if (await page.locator("form[action='/people'] select[name=tenant]").count()) await page.locator("form[action='/people'] select[name=tenant]").selectOption("acme");
  await press(page, page.getByRole("button", { name: "Add", exact: true }));
  const first = await secret();
  await shoot(page, "once-en-light");
  await press(page, page.locator("main a.button"));
  assert.match(await page.textContent("main"), /moderator \(acme\)/);
  // The person enters with it and must choose a password of their own.
  const other = await browser.newContext({ locale: "en-GB" });
  const helper = await other.newPage();
  await helper.goto(`${told.base}/login`);
  await helper.locator("#email").fill(told.helper);
  await helper.locator("#password").fill(first);
  await press(helper, helper.locator("main button.main"));
  assert.match(helper.url(), /\/account\/password$/);
  await helper.getByLabel("Current password").fill(first);
  await helper.getByLabel("New password", { exact: true }).fill("five loud kettles");
  await helper.getByLabel("New password again").fill("five loud kettles");
  await press(helper, helper.getByRole("button", { name: "Change password" }));
  await helper.goto(`${told.base}/people`);
  assert.match(await helper.textContent("main"), /role does not allow/, "a moderator looks after nobody");
  // A role more, and it is there at the next click.
  await page.goto(`${told.base}/people/${told.helper}`);
  assert.match(await page.textContent("main"), /127\.0\.0\.1/, "where the person is signed in");
  await page.locator("form:has(button[value=grant]) select[name=role]").selectOption("admin");
  if (await page.locator("form:has(button[value=grant]) select[name=tenant]").count()) await page.locator("form:has(button[value=grant]) select[name=tenant]").selectOption("acme");
  await press(page, page.getByRole("button", { name: "Give a role" }));
  assert.match(await page.textContent("main"), /admin \(acme\)/);
  await helper.goto(`${told.base}/people`);
  assert.match(await helper.textContent("main"), new RegExp(told.helper));
  await press(page, page.getByRole("button", { name: "Disable" }));
  await helper.goto(`${told.base}/queue`);
  assert.match(helper.url(), /\/login/, "out at once");
  await press(page, page.getByRole("button", { name: "Enable again" }));
  await other.close();
  await page.goto(`${told.base}/tokens`);
  await page.locator("input[name=name]").fill("help center");
  await page.locator("select[name=role]").selectOption("moderator");
  if (await page.locator("select[name=tenant]").count()) await page.locator("select[name=tenant]").selectOption("acme");
  await press(page, page.getByRole("button", { name: "Make", exact: true }));
  const token = await secret();
  const ask = () => fetch(`${told.base}/v1/posts`, { headers: { authorization: `Bearer ${token}` } });
  assert.strictEqual((await ask()).status, 200);
  await page.goto(`${told.base}/tokens`);
  assert.match(await page.textContent("tbody"), /help center/);
  await press(page, page.locator("tr", { hasText: "help center" }).getByRole("button"));
  assert.strictEqual((await ask()).status, 401);
  await page.goto(`${told.base}/networks`);
  await page.locator("#networks").fill("192.0.2.0/24");
  await press(page, page.getByRole("button", { name: "Save" }));
  assert.match(await page.getByRole("alert").textContent(), /shut yourself out/);
  await context.close();
}

async function endElsewhere(browser, codes) {
  const one = await signIn(browser, { locale: "en-GB" }, codes.pop());
  const two = await signIn(browser, { locale: "en-GB" }, codes.pop(), "/account");
  await press(two.page, two.page.getByRole("button", { name: "Sign out everywhere else" }));
  await one.page.goto(`${told.base}/queue`);
  assert.match(one.page.url(), /\/login/);
  await two.page.goto(`${told.base}/queue`);
  assert.match(two.page.url(), /\/queue$/);
  await one.context.close();
  await two.context.close();
}

async function singleSignOn(browser) {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  // The provider's own pages load a font from elsewhere.
  await context.route((url) => ![told.base, told.oidc.issuer].includes(url.origin), (route) => route.abort());
  await page.goto(`${told.base}/login?next=/account`);
  await press(page, page.getByRole("link", { name: /Sign in with/ }));
  await page.locator("input[name=login]").fill(told.oidc.subject);
  await page.locator("input[name=password]").fill("any");
  await press(page, page.locator("button[type=submit]"));
  if (await page.locator("button[type=submit]").count()) await press(page, page.locator("button[type=submit]"));
  await page.waitForURL(`${told.base}/account`);
  assert.match(await page.textContent("main"), /single sign-on/);
  await context.close();
}

(async () => {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    const { key, codes } = await firstSignIn(browser);
    await withoutScript(browser, codes);
    await peopleAndTokens(browser, codes);
    await endElsewhere(browser, codes);
    await everyPage(browser, key, codes);
    if (told.oidc) await singleSignOn(browser);
  } finally {
    await browser.close();
  }
  for (const failure of new Set(failures)) console.error(failure);
  process.exit(failures.length ? 1 : 0);
})().catch((error) => { console.error(error); for (const failure of new Set(failures)) console.error(failure); process.exit(1); });
