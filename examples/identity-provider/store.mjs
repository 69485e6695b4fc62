/**
 * Makes the storage of oidc-provider: sessions, grants, codes, refresh tokens, registered clients. It is in memory,
 * which is enough for a demo: the records outlive a rotation of the keys, but not the process.
 */
export function createStore() {
  const records = new Map();

  const key = (model, id) => `${model}:${id}`;

  function live(name) {
    const record = records.get(name);
    if (record && record.expiresAt <= Date.now()) {
      records.delete(name);
      return undefined;
    }
    return record?.payload;
  }

  function findBy(model, property, value) {
    for (const name of records.keys()) {
      if (!name.startsWith(`${model}:`)) continue;
      const payload = live(name);
      if (payload?.[property] === value) return payload;
    }
    return undefined;
  }

  return (model) => ({
    async upsert(id, payload, expiresIn) {
      const expiresAt =
        typeof expiresIn === "number" ? Date.now() + expiresIn * 1000 : Number.POSITIVE_INFINITY;
      records.set(key(model, id), { payload, expiresAt });
    },
    async find(id) {
      return live(key(model, id));
    },
    async findByUid(uid) {
      return findBy(model, "uid", uid);
    },
    async findByUserCode(userCode) {
      return findBy(model, "userCode", userCode);
    },
    async consume(id) {
      const payload = live(key(model, id));
      if (payload) payload.consumed = Math.floor(Date.now() / 1000);
    },
    async destroy(id) {
      records.delete(key(model, id));
    },
    async revokeByGrantId(grantId) {
      for (const [name, { payload }] of records) {
        if (payload.grantId === grantId && /^(AccessToken|AuthorizationCode|RefreshToken):/.test(name)) {
          records.delete(name);
        }
      }
    },
  });
}
