/** Administration, against a real server: keys, roles, users, tokens, workspaces. */
import { afterAll, expect, inject, test } from "vitest";
import { createClient, ForbiddenError, NotFoundError, UnauthenticatedError } from "../src/full.js";

const server = inject("server");
const client = createClient({ url: server.url, key: server.key });

afterAll(() => client.close());

test("keys open what their roles allow, until they are revoked", async () => {
  await client.createRole({ name: "clerk", description: "Reads." });
  await client.changeRole("clerk", { description: "Reads what lies on the desk." });
  const { roles } = await client.listRoles();
  const [clerks] = roles.filter(({ name }) => name === "clerk");
  expect(clerks).toMatchObject({ description: "Reads what lies on the desk." });
  await client.put("desk", [{ n: 1 }], { mode: "create" });
  const grant = await client.createGrant({ role: "clerk", table: "desk", actions: ["read"] });
  const { grants } = await client.listGrants();
  expect(grants.find(({ id }) => id === grant.id)).toMatchObject({ role: "clerk", table: "desk" });
  const made = await client.createKey({ name: "etl", roles: ["clerk"] });
  await using clerk = createClient({ url: server.url, key: made.key, retry: false });
  expect(await clerk.whoami()).toMatchObject({ name: "etl", roles: ["clerk"] });
  expect(await clerk.from("desk").toArray()).toEqual([{ n: 1n }]);
  await expect(clerk.put("desk", [{ n: 2 }])).rejects.toThrow(ForbiddenError);
  const { permissions } = await clerk.listPermissions({ table: "desk" });
  expect(permissions.read?.allowed).toBe(true);
  const rotated = await client.rotateKey(made.id);
  expect(rotated.key).not.toBe(made.key);
  expect((await client.listKeys()).api_keys.map(({ name }) => name)).toContain("etl");
  expect(await client.describeKey(made.id)).toMatchObject({ name: "etl", revoked_at: null });
  await client.revokeKey(made.id);
  expect(await client.describeKey(made.id)).toMatchObject({ revoked_at: expect.any(String) });
  await expect(clerk.whoami()).rejects.toThrow(UnauthenticatedError);
  await client.dropGrant(grant.id);
  await client.dropRole("clerk");
});

test("tokens are refreshed and revoked", async () => {
  const made = await client.createKey({ name: "short lived", roles: ["reader"] });
  await using anonymous = createClient({ url: server.url, retry: false });
  const whoami = async (token: string) => {
    await using holder = createClient({ url: server.url, token, retry: false });
    return (await holder.whoami()).name;
  };
  const first = await anonymous.takeToken({ grant_type: "api_key", api_key: made.key });
  const second = await anonymous.refreshToken({ refresh_token: first.refresh_token });
  expect(second.access_token).not.toBe(first.access_token);
  expect(await whoami(second.access_token)).toBe("short lived");
  expect(await anonymous.revokeToken({ token: first.access_token })).toBeUndefined();
  await expect(whoami(first.access_token)).rejects.toThrow("was revoked");
  expect(await whoami(second.access_token)).toBe("short lived");
  // The token that refreshes takes along what it has given out.
  await anonymous.revokeToken({ token: second.refresh_token });
  await expect(whoami(second.access_token)).rejects.toThrow(UnauthenticatedError);
  const again = anonymous.refreshToken({ refresh_token: second.refresh_token });
  await expect(again).rejects.toThrow(UnauthenticatedError);
  await client.revokeKey(made.id);
});

test("users log in, workspaces come and go, what was done is on record", async () => {
  await client.createRole({ name: "guest" });
  const password = "correct horse battery staple";
  await client.createUser({ name: "ada", password, roles: ["guest"] });
  const anonymous = createClient({ url: server.url });
  const tokens = await anonymous.takeToken({ grant_type: "password", username: "ada", password });
  const ada = createClient({ url: server.url, token: tokens.access_token });
  expect(await ada.whoami()).toMatchObject({ name: "ada" });
  await client.changeUser("ada", { disabled: true });
  expect(await client.describeUser("ada")).toMatchObject({ disabled_at: expect.any(String) });
  await expect(ada.whoami()).rejects.toThrow(UnauthenticatedError);
  expect((await client.listUsers()).users.map(({ name }) => name)).toContain("ada");
  await client.deleteUser("ada");
  await expect(client.describeUser("ada")).rejects.toThrow(NotFoundError);
  await client.createWorkspace({ name: "sales" });
  await client.changeWorkspace("sales", { description: "Those who sell.", namespaces: [] });
  expect((await client.listWorkspaces()).workspaces.map(({ name }) => name)).toContain("sales");
  await client.dropWorkspace("sales");
  const entries = [];
  for await (const page of client.pages("listAuditEntries", {
    action: "create_user",
    limit: 1,
  })) {
    entries.push(...page.entries);
  }
  expect(entries.map(({ resource }) => resource)).toEqual(["user:ada"]);
  expect((await client.listUsage()).usage).toBeInstanceOf(Array);
  await expect(client.listProviders()).rejects.toThrow("There is no catalog 'pixeltable'.");
  expect(await client.healthLive()).toEqual({ status: "live" });
  expect(await client.healthReady()).toMatchObject({ status: "ready" });
  expect(await client.metrics()).toContain("# TYPE");
});
