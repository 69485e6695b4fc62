/* Made from docs/portcullis.schema.json. */

/**
 * What a rate limit counts together.
 */
export type LimitKeyName = "subject" | "client" | "tool";
/**
 * What a guard looks for.
 */
export type CategoryName = "credentials" | "cards" | "iban" | "email";
/**
 * Where a guard looks.
 */
export type DirectionName = "arguments" | "results";
/**
 * A kind of credential for an origin server.
 */
export type OriginCredentialName =
  "none" | "static" | "client_credentials" | "token_exchange" | "enterprise" | "per_user";

/**
 * The `PORTCULLIS` variable: a TOML table under `[vars]` in `wrangler.toml`, or the same document as a JSON string.
 */
export interface PortcullisConfiguration {
  /**
   * Hosts that requests may name in `Host` in addition to the host of `public_url`, each `host` or `host:port`. The
   * gateway rejects any other host with 403: this protects against DNS rebinding. Default: none.
   */
  allowed_hosts?: string[];
  /**
   * Web origins whose pages may call the gateway, each `https://host[:port]`, or the origin of an extension or an
   * application, such as `chrome-extension://ID`, `app://obsidian.md` or `vscode-file://vscode-app`. The gateway rejects
   * a request with any other `Origin` with 403 (T1); it always allows `public_url` itself. Default: none.
   */
  allowed_origins?: string[];
  /**
   * API keys for machine clients. Default: none.
   */
  api_keys?: ApiKeySetDocument[];
  authorization_server?: AuthorizationServerDocument;
  decision_log?: DecisionLogDocument;
  /**
   * Allows plain HTTP for loopback hosts (`localhost`, 127.0.0.0/8, `::1`): for this gateway, its issuers and its
   * origin servers. Also adds `Server-Timing` to responses. Default: `false`.
   */
  development?: boolean;
  dpop?: DpopDocument;
  identity_assertion?: IdentityAssertionDocument;
  /**
   * The authorization servers whose access tokens the gateway accepts. Default: none.
   */
  issuers?: IssuerDocument[];
  log?: LogDocument;
  metrics?: MetricsDocument;
  operator?: OperatorDocument;
  /**
   * Shows at `/` which resources are behind the gateway and how clients connect: a page for browsers, JSON for other
   * clients. It has no effect if a resource or a public path is at `/`. Default: `true`.
   */
  public_page?: boolean;
  /**
   * Paths that any caller may reach without a token. Each entry is one exact path: it opens no path below it or
   * beside it. `/healthz` always exists and needs no entry. Default: none.
   */
  public_paths?: PublicPathDocument[];
  /**
   * The URL at which clients reach this gateway: scheme, host, and the port if it is not the default port of the
   * scheme. Every URL that the gateway publishes begins with it; the gateway never derives such a URL from a
   * request. Must be `https`, except on a loopback host with `development = true`.
   */
  public_url?: string;
  /**
   * The protected resources: the MCP endpoints behind this gateway.
   */
  resources?: ResourceDocument[];
  revocation?: RevocationTable;
  scope_includes?: Table6;
  sessions?: SessionsDocument;
  stored?: StoredDocument;
  /**
   * Workers of your own that verify credentials of kinds that the gateway does not support itself. Default: none.
   */
  verifiers?: VerifierDocument[];
}
/**
 * A set of API keys with one prefix. A key is `PREFIX_ID_SECRET`; `npx portcullis apikey` makes one and prints it once.
 */
export interface ApiKeySetDocument {
  /**
   * Seconds for which the gateway uses a record from KV again at most, and for which it rejects an unknown key
   * without another look-up, 1 to 3600. Default: 60.
   */
  cache_seconds?: number;
  /**
   * The keys. Default: none.
   */
  keys?: ApiKeyDocument[];
  /**
   * The name of a KV binding with more keys: the record of a key is at `apikey:PREFIX:ID`, as JSON with the members
   * of an entry of `keys`. Default: none.
   */
  kv?: string;
  /**
   * How keys of this set begin, before the first `_`: 2 to 20 lower-case letters and digits.
   */
  prefix: string;
}
/**
 * An API key.
 */
export interface ApiKeyDocument {
  /**
   * When the key expires, for example `2027-01-31T00:00:00Z` (RFC 3339). Default: never.
   */
  expires?: string;
  /**
   * The salted hash of the secret, as `npx portcullis apikey` prints it: `hmac-sha256$SALT$DIGEST`.
   */
  hash: string;
  /**
   * The id in the key: 1 to 32 letters and digits.
   */
  id: string;
  /**
   * Who has the key, for the log: 1 to 100 characters.
   */
  label: string;
  /**
   * Scopes of the key. Default: none; the key cannot do anything that requires a scope.
   */
  scopes?: string[];
}
/**
 * Makes this gateway an OAuth authorization server too. Default: it is not one.
 */
export interface AuthorizationServerDocument {
  /**
   * Lifetime of an access token in seconds, 60 to 3600. Default: 600.
   */
  access_token_seconds?: number;
  /**
   * The name of the Worker secret, of 32 characters or more, with which an administrator can list, end, export and
   * delete the grants of users (`npx portcullis grants`). Default: no administrator can.
   */
  admin_secret?: string;
  /**
   * The name of the Durable Object binding (class `AuthorizationRecords`) that stores grants and clients.
   */
  binding: string;
  /**
   * Clients may authenticate with the certificate of their connection (RFC 8705 §2): `tls_client_auth` and
   * `self_signed_tls_client_auth`. Cloudflare must ask for client certificates on the host. Default: `false`.
   */
  client_certificates?: boolean;
  /**
   * Domains on which such documents may be, for example `vendor.example`, including their subdomains. Default: any.
   */
  client_document_domains?: string[];
  /**
   * Accepts clients whose id is the `https` URL of their metadata (client ID metadata documents). Default: `true`.
   */
  client_documents?: boolean;
  /**
   * Clients that you know beforehand. Default: none.
   */
  clients?: ClientDocument[];
  /**
   * Devices and programs without a browser may ask for tokens: they show a code, and their user decides in a browser elsewhere
   * (RFC 8628). Default: `false`, because users can be talked into entering the code of another person's device.
   */
  device_authorization?: boolean;
  /**
   * Which users may be granted which scopes. If an entry names a scope, itself or by a wildcard over it (`files:*`),
   * only users whom such an entry names can be granted the scope. Default: every user who may log in can be granted
   * every scope.
   */
  entitlements?: EntitlementDocument[];
  /**
   * Days after which the user must log in again in any case, 1 to 365. Default: 90.
   */
  grant_days?: number;
  /**
   * The name of the Worker secret that a client must send as a bearer token to register: 32 characters or more.
   * Required with `registration = "initial_access_token"`.
   */
  initial_access_token_secret?: string;
  /**
   * Names of the Worker secrets that hold signing keys for access tokens: private JWKs, `EC` P-256 or `OKP` Ed25519
   * (`npx portcullis keys make` makes one). The first key signs, and the gateway publishes all of them. To rotate a key, put the
   * new one first and remove the old one an hour later.
   */
  key_secrets: string[];
  login: LoginDocument;
  /**
   * The name of this authorization server in `issuers` of resources. Default: `portcullis`.
   */
  name?: string;
  /**
   * Other identity providers at which users log in, at most 16. Default: none. Guide: `docs/authorization-server.md`, *Several
   * identity providers*.
   */
  other_logins?: OtherLoginDocument[];
  /**
   * The path that follows `public_url` in the issuer identifier, for example `/login`; the endpoints are below it.
   * Default: none, the issuer identifier is `public_url` itself. Clients of MCP 2025-03-26 cannot find an issuer
   * with a path.
   */
  path?: string;
  /**
   * Schemes that redirect URIs may have in addition to `https`, and `http` on loopback, for example `cursor`. Any
   * program on the user's machine that claims such a scheme can get the code, but cannot redeem it without the code
   * verifier. The gateway leaves redirect URIs with other schemes out of a registration or metadata document that also has
   * redirect URIs that it accepts. Default: none (A8).
   */
  redirect_schemes?: string[];
  /**
   * Seconds after the use of a refresh token in which the gateway answers another use with the same new refresh token, 0
   * to 600. A client with many processes that share a refresh token may need more than the default. A later use of the
   * old one counts as theft and ends the grant. Default: 60.
   */
  refresh_grace_seconds?: number;
  /**
   * Days without use after which a refresh token expires, 1 to 365. Default: 30.
   */
  refresh_token_days?: number;
  /**
   * Which clients may register (RFC 7591): `off` for none, `open` for any, or `initial_access_token` for those that
   * have the token. A client whose id is the URL of its metadata needs no registration. Default: `off`.
   */
  registration?: "off" | "open" | "initial_access_token";
  /**
   * Days without use after which the gateway deletes a registered client, 1 to 365. It deletes a client that was
   * never used one day after the registration. Default: 90.
   */
  registration_days?: number;
  /**
   * The name of a rate-limiting binding that counts registrations by the caller's network address. Default: each
   * isolate counts for itself, with a limit of 20 a minute for each address.
   */
  registration_limit_binding?: string;
  /**
   * Seconds within which every isolate refuses the access tokens of a grant that was revoked, 0 to 300. An isolate asks
   * the binding for changes at most twice in this time; if it does not get them, it refuses all access tokens of this
   * authorization server (503). With `0`, the gateway asks the record of the grant at every request. Default: 5.
   */
  revocation_seconds?: number;
  scopes?: Table21;
  /**
   * Names of the Worker secrets, each of 32 characters or more, that seal cookies and mark codes and refresh tokens.
   * The first secret seals and marks, and all of them open and verify, so that a secret is rotated like a key. When
   * a secret is removed, the refresh tokens that it marked become invalid.
   */
  secrets: string[];
  /**
   * Claims of the identity provider that access tokens contain, so that rules can test them: `["groups", "email"]`.
   * A token has each claim under the part of its name after the last `/`. `"groups"` stands for the user's groups,
   * whatever `groups_claim` is. Default: none.
   */
  token_claims?: string[];
  /**
   * Issuers whose assertions the token endpoint accepts: identity providers of companies (Enterprise-Managed
   * Authorization), and platforms that identify workloads. Default: none.
   */
  trusted_issuers?: TrustedIssuerDocument[];
}
/**
 * A client that you know beforehand.
 */
export interface ClientDocument {
  /**
   * `client_id`: 1 to 128 letters, digits, `-`, `_`, `.`.
   */
  client_id: string;
  /**
   * The name that users see. Default: the client id.
   */
  client_name?: string;
  /**
   * All tokens of the client are bound to a DPoP key (RFC 9449 §5.2): a token request without a proof is refused. Default:
   * `false`.
   */
  dpop_bound_access_tokens?: boolean;
  /**
   * Any of `authorization_code`, `refresh_token`, `client_credentials` and
   * `urn:ietf:params:oauth:grant-type:jwt-bearer`. Default: the first two with `redirect_uris`; the last two with
   * `workload`; else none.
   */
  grant_types?: string[];
  /**
   * The client may ask about tokens of other clients (RFC 7662), as MCP servers do. Default: `false`.
   */
  introspection?: boolean;
  /**
   * The JWK set with its public keys, as a JSON string, for `private_key_jwt`; with its certificates (`x5c`) for
   * `self_signed_tls_client_auth`.
   */
  jwks?: string;
  /**
   * The URL of that set, in place of `jwks`.
   */
  jwks_uri?: string;
  /**
   * URIs to which its codes may be sent. One that ends in `/*` accepts one more segment of the path, of letters, digits,
   * `-` and `_`, for a client whose redirect URIs differ for each connection: `https://chatgpt.com/connector/oauth/*`.
   * Default: none; the client cannot ask users.
   */
  redirect_uris?: string[];
  /**
   * Scopes that the client may request, and that it gets for itself with `client_credentials` or `workload`. Default: any
   * that users grant it, and none for itself.
   */
  scopes?: string[];
  /**
   * The name of the Worker secret that holds its client secret: 32 characters or more.
   */
  secret?: string;
  /**
   * The subject of its certificate, for `tls_client_auth`, as RFC 2253 writes it: `CN=agent,O=Acme,C=DE`.
   */
  tls_client_auth_subject_dn?: string;
  /**
   * How the client authenticates: `none`, `client_secret_basic`, `client_secret_post`, `private_key_jwt`, or with
   * `client_certificates` also `tls_client_auth` and `self_signed_tls_client_auth`. Default: `none`.
   */
  token_endpoint_auth_method?: string;
  workload?: WorkloadDocument;
}
/**
 * The workload that the client is, in place of keys or a secret: assertions of a platform authenticate it.
 */
export interface WorkloadDocument {
  claims?: Table;
  /**
   * The name of the issuer in `trusted_issuers`.
   */
  issuer: string;
  /**
   * `sub` of its assertions; `*` matches any characters: `system:serviceaccount:prod:agent`, `spiffe://acme.example/agent`,
   * `repo:acme/agent:ref:refs/heads/main`.
   */
  subject: string;
}
/**
 * Claims that an assertion must have, each with its accepted values: `repository_id = ["12345"]`. A key that begins with `/`
 * is a JSON Pointer. Default: none.
 */
export interface Table {
  [k: string]: string[];
}
/**
 * Which users may be granted some scopes: members of one of these groups, and these users.
 */
export interface EntitlementDocument {
  /**
   * Groups. Default: none.
   */
  groups?: string[];
  /**
   * The scopes.
   */
  scopes: string[];
  /**
   * Users, by verified email or by subject. Default: none.
   */
  users?: string[];
}
/**
 * How users log in.
 */
export interface LoginDocument {
  /**
   * Domains whose users may log in: the domain in `hd` for `google`, else the domain of `email`, which the provider
   * must declare verified (Entra ID verifies none: use the issuer of one tenant there). Default: none.
   */
  allowed_domains?: string[];
  /**
   * Groups whose members may log in. Default: none.
   */
  allowed_groups?: string[];
  /**
   * Users who may log in, by verified `email` or by subject. Default: none.
   */
  allowed_users?: string[];
  /**
   * Every user whom the provider knows may log in. Required if no domains, groups or users are allowed, so that a
   * forgotten key cannot open the gateway to all users of GitHub. Default: `false`.
   */
  anyone?: boolean;
  /**
   * How this gateway authenticates to the provider, also for revocation: `client_secret_basic`, `client_secret_post`
   * or `private_key_jwt`. Default: `client_secret_basic`.
   */
  authentication?: "client_secret_basic" | "client_secret_post" | "private_key_jwt";
  /**
   * The endpoint to which the gateway sends users. Default: from discovery. Preset for `github`.
   */
  authorization_endpoint?: string;
  /**
   * Accepts logout tokens of the provider at `ISSUER/backchannel-logout` (OpenID Connect Back-Channel Logout): when a user logs out
   * there, the grants that began in that session end. Needs `issuer`. Default: `false`.
   */
  back_channel_logout?: boolean;
  /**
   * The client id of this gateway at the provider. Its redirect URI is `ISSUER/callback`, and `ISSUER/callback/NAME` for one of
   * `other_logins`. Default: the gateway
   * registers itself (RFC 7591), if the provider's discovery document has a `registration_endpoint`.
   */
  client_id?: string;
  /**
   * The clients whose users log in here. Default: all.
   */
  clients?: string[];
  /**
   * The domains of e-mail addresses whose users log in here: an address in `login_hint`, or one that the user enters, chooses this
   * provider. It says where to log in, and not who may: that is `allowed_domains`. Default: none.
   */
  email_domains?: string[];
  /**
   * The claim with the user's groups: a name, or a JSON Pointer such as `/realm_access/roles`. Default: `groups`;
   * `/realm_access/roles` for `keycloak`; the organizations for `github`.
   */
  groups_claim?: string;
  /**
   * Accepts ID tokens whose header has `jku`, `x5u`, `x5c` or `jwk`. The gateway ignores these members and uses only the
   * keys of the provider (RFC 8725 §3.10). Default: `false`, which rejects such ID tokens.
   */
  ignore_key_headers?: boolean;
  /**
   * The issuer identifier of an OpenID provider: the gateway finds endpoints and keys in its discovery document, and
   * accepts ID tokens of this issuer only. Preset for `google`. Default: none, for a server without OpenID.
   */
  issuer?: string;
  /**
   * The URL of the keys that sign ID tokens. With `authorization_endpoint` and `token_endpoint`, the gateway needs no
   * discovery. Default: from discovery.
   */
  jwks_uri?: string;
  /**
   * The URL of the discovery document, for a provider that does not publish it at its issuer, such as Entra External ID
   * and Azure AD B2C. Its `issuer` must be the issuer above. Default: the locations of OpenID Connect Discovery §4 and RFC
   * 8414 §3.
   */
  metadata_url?: string;
  /**
   * Minutes after `recheck_minutes` in which the provider may be out of reach, 0 to 10080: until then a refresh goes on with what the
   * provider said last, and after that the gateway answers 503. Default: 60.
   */
  outage_minutes?: number;
  parameters?: Table2;
  /**
   * The provider, whose particular rules then need no configuration: `generic`, `auth0`, `entra_id`, `github`,
   * `google`, `keycloak` or `okta`. Default: `generic`.
   */
  profile?: "generic" | "auth0" | "entra_id" | "github" | "google" | "keycloak" | "okta";
  /**
   * Minutes after which a refresh asks the provider again about the user, 0 to 43200: with the provider's refresh token, or
   * at `userinfo_endpoint` without `issuer`. The grant ends if the provider refuses, and its scopes and claims follow what
   * the provider says. If this key is set, the gateway also requests the scope `offline_access` (at `google`, `access_type =
   * "offline"`), unless `scopes` is set, and a grant ends after this time if the provider gave no token to ask with. Without
   * this key, such a grant lasts as long as `grant_days` says. With `0`, the gateway never asks again. Default: 60.
   */
  recheck_minutes?: number;
  /**
   * The resources whose users log in here, by path. Default: all.
   */
  resources?: string[];
  /**
   * The endpoint at which the gateway revokes the provider's tokens when a client revokes its grant (RFC 7009).
   * Default: from discovery, if the provider has one.
   */
  revocation_endpoint?: string;
  scim?: ScimDocument;
  /**
   * Scopes that the gateway requests at the provider. Default: `openid`, `profile` and `email`; for `okta` also
   * `groups`; for `github` instead `read:user`, `user:email` and `read:org`.
   */
  scopes?: string[];
  /**
   * The name of the Worker secret that holds the client secret; for `private_key_jwt` the private key. Required with
   * `client_id`.
   */
  secret?: string;
  /**
   * The claim that becomes `sub`: the provider must never give its value to another person. Default: `sub`; `oid`
   * for `entra_id`, `id` for `github`.
   */
  subject_claim?: string;
  /**
   * The tenants whose users may log in, if `issuer` has `{tenantid}` in place of the tenant, as the discovery document
   * of Entra ID at `/common` has. The subject of a user is then `TENANT:SUBJECT`. Required with such an issuer, and an
   * error with any other.
   */
  tenants?: string[];
  /**
   * What the page on which users choose their provider, and the consent page, call it. Default: its host.
   */
  title?: string;
  /**
   * The endpoint at which the gateway redeems codes. Default: from discovery. Preset for `github`.
   */
  token_endpoint?: string;
  /**
   * The endpoint at which the gateway asks who the user of a token is. Required without `issuer`. Default with
   * `issuer`: none, the ID token says who the user is. Preset for `github`.
   */
  userinfo_endpoint?: string;
}
/**
 * Additional parameters of the authorization request at the provider, for example `prompt = "select_account"`.
 * Default: none.
 */
export interface Table2 {
  [k: string]: string;
}
/**
 * A SCIM 2.0 service at which the provider provisions its users and groups. Default: none. Guide: `docs/scim.md`.
 */
export interface ScimDocument {
  /**
   * The name of the Durable Object binding (class `Directory`) that stores the users and groups.
   */
  binding: string;
  /**
   * The claim of the login with that; not for `email`. Default: `subject_claim` for `external_id`, `preferred_username` for
   * `user_name`.
   */
  claim?: string;
  /**
   * Whether the groups of the directory stand in for those of the login. With `false`, groups that the provider provisions have no
   * effect. Default: `true`.
   */
  groups?: boolean;
  /**
   * By what a login finds its user: `external_id`, `user_name`, or `email` (an address that the provider verified). Default:
   * `external_id`.
   */
  match?: "external_id" | "user_name" | "email";
  /**
   * Whether a user whom the provider has not provisioned has no access. Default: `true`.
   */
  required?: boolean;
  /**
   * Names of 1 to 4 Worker secrets, each of 32 characters or more. The provider sends one of them as `Authorization: Bearer`. To
   * change a secret, add the new one, change it at the provider, and remove the old one.
   */
  secrets: string[];
}
/**
 * Another identity provider at which users log in. The subjects and the groups of its users begin with `NAME|`, so that they are never
 * those of users of another provider.
 */
export interface OtherLoginDocument {
  login: LoginDocument1;
  /**
   * Its name: 1 to 64 letters, digits, `-`, `_`, `.`, but not `login` and `v2`. It cannot be changed without making other users of
   * all its users.
   */
  name: string;
  /**
   * Claims of its users that access tokens contain, so that rules can test them: names, or JSON Pointers. What this provider means by
   * a claim may be another thing than what the one of `login` means by it. With `acr` or `amr`, `sign_in` rules and `acr_values` accept
   * what it says of a sign-in, else the time alone. Default: none, beside `groups` and `email` of `token_claims`.
   */
  token_claims?: string[];
}
/**
 * How users log in there.
 */
export interface LoginDocument1 {
  /**
   * Domains whose users may log in: the domain in `hd` for `google`, else the domain of `email`, which the provider
   * must declare verified (Entra ID verifies none: use the issuer of one tenant there). Default: none.
   */
  allowed_domains?: string[];
  /**
   * Groups whose members may log in. Default: none.
   */
  allowed_groups?: string[];
  /**
   * Users who may log in, by verified `email` or by subject. Default: none.
   */
  allowed_users?: string[];
  /**
   * Every user whom the provider knows may log in. Required if no domains, groups or users are allowed, so that a
   * forgotten key cannot open the gateway to all users of GitHub. Default: `false`.
   */
  anyone?: boolean;
  /**
   * How this gateway authenticates to the provider, also for revocation: `client_secret_basic`, `client_secret_post`
   * or `private_key_jwt`. Default: `client_secret_basic`.
   */
  authentication?: "client_secret_basic" | "client_secret_post" | "private_key_jwt";
  /**
   * The endpoint to which the gateway sends users. Default: from discovery. Preset for `github`.
   */
  authorization_endpoint?: string;
  /**
   * Accepts logout tokens of the provider at `ISSUER/backchannel-logout` (OpenID Connect Back-Channel Logout): when a user logs out
   * there, the grants that began in that session end. Needs `issuer`. Default: `false`.
   */
  back_channel_logout?: boolean;
  /**
   * The client id of this gateway at the provider. Its redirect URI is `ISSUER/callback`, and `ISSUER/callback/NAME` for one of
   * `other_logins`. Default: the gateway
   * registers itself (RFC 7591), if the provider's discovery document has a `registration_endpoint`.
   */
  client_id?: string;
  /**
   * The clients whose users log in here. Default: all.
   */
  clients?: string[];
  /**
   * The domains of e-mail addresses whose users log in here: an address in `login_hint`, or one that the user enters, chooses this
   * provider. It says where to log in, and not who may: that is `allowed_domains`. Default: none.
   */
  email_domains?: string[];
  /**
   * The claim with the user's groups: a name, or a JSON Pointer such as `/realm_access/roles`. Default: `groups`;
   * `/realm_access/roles` for `keycloak`; the organizations for `github`.
   */
  groups_claim?: string;
  /**
   * Accepts ID tokens whose header has `jku`, `x5u`, `x5c` or `jwk`. The gateway ignores these members and uses only the
   * keys of the provider (RFC 8725 §3.10). Default: `false`, which rejects such ID tokens.
   */
  ignore_key_headers?: boolean;
  /**
   * The issuer identifier of an OpenID provider: the gateway finds endpoints and keys in its discovery document, and
   * accepts ID tokens of this issuer only. Preset for `google`. Default: none, for a server without OpenID.
   */
  issuer?: string;
  /**
   * The URL of the keys that sign ID tokens. With `authorization_endpoint` and `token_endpoint`, the gateway needs no
   * discovery. Default: from discovery.
   */
  jwks_uri?: string;
  /**
   * The URL of the discovery document, for a provider that does not publish it at its issuer, such as Entra External ID
   * and Azure AD B2C. Its `issuer` must be the issuer above. Default: the locations of OpenID Connect Discovery §4 and RFC
   * 8414 §3.
   */
  metadata_url?: string;
  /**
   * Minutes after `recheck_minutes` in which the provider may be out of reach, 0 to 10080: until then a refresh goes on with what the
   * provider said last, and after that the gateway answers 503. Default: 60.
   */
  outage_minutes?: number;
  parameters?: Table2;
  /**
   * The provider, whose particular rules then need no configuration: `generic`, `auth0`, `entra_id`, `github`,
   * `google`, `keycloak` or `okta`. Default: `generic`.
   */
  profile?: "generic" | "auth0" | "entra_id" | "github" | "google" | "keycloak" | "okta";
  /**
   * Minutes after which a refresh asks the provider again about the user, 0 to 43200: with the provider's refresh token, or
   * at `userinfo_endpoint` without `issuer`. The grant ends if the provider refuses, and its scopes and claims follow what
   * the provider says. If this key is set, the gateway also requests the scope `offline_access` (at `google`, `access_type =
   * "offline"`), unless `scopes` is set, and a grant ends after this time if the provider gave no token to ask with. Without
   * this key, such a grant lasts as long as `grant_days` says. With `0`, the gateway never asks again. Default: 60.
   */
  recheck_minutes?: number;
  /**
   * The resources whose users log in here, by path. Default: all.
   */
  resources?: string[];
  /**
   * The endpoint at which the gateway revokes the provider's tokens when a client revokes its grant (RFC 7009).
   * Default: from discovery, if the provider has one.
   */
  revocation_endpoint?: string;
  scim?: ScimDocument;
  /**
   * Scopes that the gateway requests at the provider. Default: `openid`, `profile` and `email`; for `okta` also
   * `groups`; for `github` instead `read:user`, `user:email` and `read:org`.
   */
  scopes?: string[];
  /**
   * The name of the Worker secret that holds the client secret; for `private_key_jwt` the private key. Required with
   * `client_id`.
   */
  secret?: string;
  /**
   * The claim that becomes `sub`: the provider must never give its value to another person. Default: `sub`; `oid`
   * for `entra_id`, `id` for `github`.
   */
  subject_claim?: string;
  /**
   * The tenants whose users may log in, if `issuer` has `{tenantid}` in place of the tenant, as the discovery document
   * of Entra ID at `/common` has. The subject of a user is then `TENANT:SUBJECT`. Required with such an issuer, and an
   * error with any other.
   */
  tenants?: string[];
  /**
   * What the page on which users choose their provider, and the consent page, call it. Default: its host.
   */
  title?: string;
  /**
   * The endpoint at which the gateway redeems codes. Default: from discovery. Preset for `github`.
   */
  token_endpoint?: string;
  /**
   * The endpoint at which the gateway asks who the user of a token is. Required without `issuer`. Default with
   * `issuer`: none, the ID token says who the user is. Preset for `github`.
   */
  userinfo_endpoint?: string;
}
/**
 * Descriptions of scopes for the consent page: `"mcp:tools" = "Use the tools of this server"`. The page shows a
 * scope without a description by its name. Clients can request the scopes named here in addition to those of
 * resources and rules. Default: none.
 */
export interface Table21 {
  [k: string]: string;
}
/**
 * An issuer whose assertions (RFC 7523) the token endpoint accepts: an identity provider that manages access for a company
 * (`id_jag`), or a platform that identifies workloads (`clients[].workload` names it).
 */
export interface TrustedIssuerDocument {
  /**
   * Values of `aud` that are accepted in addition to the issuer identifier of this authorization server, for a platform that
   * cannot set it. Each other service that accepts the same audience can use the assertion here. Default: none.
   */
  audiences?: string[];
  id_jag?: IdJagDocument;
  /**
   * `iss` of its assertions: an issuer identifier such as `https://acme.okta.com`, or, with `jwks` or `jwks_uri`, any text
   * such as `spiffe://acme.example`.
   */
  issuer: string;
  /**
   * Its keys, a JWK set as a JSON string, for an issuer that the gateway cannot reach. Rotating them needs a deployment.
   */
  jwks?: string;
  /**
   * The URL of its keys, in place of discovery.
   */
  jwks_uri?: string;
  /**
   * Seconds ahead that `exp` of an assertion may be at most, 60 to 86400. Default: 7200.
   */
  max_assertion_seconds?: number;
  /**
   * The URL of its discovery document. Default: the locations of OpenID Connect Discovery §4 and RFC 8414 §3.
   */
  metadata_url?: string;
  /**
   * The name of this issuer in the configuration and in the log. Subjects of its users begin with it, `NAME|SUBJECT`, unless
   * it is the issuer of `login`.
   */
  name: string;
  signals?: SignalsDocument;
  /**
   * Claims of assertions about workloads, and of ID-JAGs of another issuer than that of `login`, that access tokens contain, so that
   * rules can test them: `["repository", "ref"]`, or JSON Pointers such as `/kubernetes.io/namespace`. A token has each under the part of its name after the last `/`.
   * Default: none.
   */
  token_claims?: string[];
}
/**
 * Accepts ID-JAGs of this issuer (Enterprise-Managed Authorization): it says which of its users may use which client here,
 * without a consent page. Default: none are accepted.
 */
export interface IdJagDocument {
  /**
   * Domains of `email` whose users are admitted; the issuer must declare the address verified. Default: none.
   */
  allowed_domains?: string[];
  /**
   * Groups whose members are admitted. Default: none.
   */
  allowed_groups?: string[];
  /**
   * Users who are admitted, by verified `email` or by subject. Default: none.
   */
  allowed_users?: string[];
  /**
   * Every user whom the issuer names is admitted. Required if no domains, groups or users are allowed. Default: `false`.
   */
  anyone?: boolean;
  /**
   * The claim with the user's groups: a name, or a JSON Pointer. Default: `groups`.
   */
  groups_claim?: string;
  /**
   * The claim that becomes `sub`: the issuer must never give its value to another person. Default: `sub`.
   */
  subject_claim?: string;
}
/**
 * Receives signals (SETs, RFC 8417) of this issuer (Shared Signals Framework): at `ISSUER/signals/NAME` (RFC 8935), or where
 * `poll` asks for them (RFC 8936). Access of a user ends when the issuer says so. Default: none are received.
 */
export interface SignalsDocument {
  /**
   * Whether its signals are about users who log in with `login`. Set it if the issuer of `login` is another issuer of the same
   * company, as a custom authorization server of Okta is. Default: `true` if this is the issuer of `login`, else `false`.
   */
  about_login?: boolean;
  /**
   * Accepted values of `aud`. Default: the URL of the endpoint, and the issuer identifier of this authorization server.
   */
  audiences?: string[];
  /**
   * Names of `issuers` about whose users its signals are, too: the gateway then refuses their tokens that are older than a signal.
   * Their tokens must have the subject that the signal names. Default: none.
   */
  issuers?: string[];
  poll?: PollDocument;
  /**
   * The name of the Worker secret that the transmitter must send as `Authorization`, alone or after `Bearer`: 32 characters or
   * more. Default: none, the signature of a SET is enough.
   */
  secret?: string;
}
/**
 * Asks the transmitter for signals (RFC 8936), in place of the endpoint that receives them. The Worker needs the cron trigger
 * `* * * * *`. Default: the transmitter sends them.
 */
export interface PollDocument {
  /**
   * The name of the Worker secret with the access token that the transmitter issued for the stream.
   */
  secret: string;
  /**
   * The `https` URL of its poll endpoint (`delivery.endpoint_url` of the stream).
   */
  url: string;
}
/**
 * A record of each decision that rules make. Default: none.
 */
export interface DecisionLogDocument {
  /**
   * The name of an Analytics Engine binding. Default: none.
   */
  analytics_engine?: string;
  /**
   * Writes a line to the Worker's own log (`console`) for each decision. Default: `true`.
   */
  console?: boolean;
  /**
   * The name of a Queue binding. Default: none.
   */
  queue?: string;
}
/**
 * How the gateway checks DPoP proofs (RFC 9449), at resources that accept them.
 */
export interface DpopDocument {
  /**
   * The name of the Worker secret that keys nonces: 32 characters or more. With it, every proof must have a nonce of
   * this gateway (RFC 9449 §9), so that no proof can be made in advance. Default: no nonces.
   */
  nonce_secret?: string;
  /**
   * The name of the Durable Object binding (class `ReplayGuard`) that remembers used proofs for all isolates.
   * Default: each isolate remembers its own, so a proof can be used once in each isolate within its window.
   */
  replay_binding?: string;
  /**
   * Seconds by which `iat` of a proof may differ from the current time, in either direction, 5 to 300. Default: 300.
   */
  window_seconds?: number;
}
/**
 * A signed statement that tells the origin server who the caller is. Without this table the origin server gets
 * only the `x-portcullis-*` fields, and the log says so once at start.
 */
export interface IdentityAssertionDocument {
  /**
   * Names of the Worker secrets that hold signing keys: private JWKs, `EC` P-256 (ES256) or `OKP` Ed25519 (EdDSA)
   * (`npx portcullis keys make` makes one). The first key signs, and the gateway publishes all of them. To rotate a key, name
   * the new one last, then first, and then remove the old one (`npx portcullis keys rotate` says when).
   */
  key_secrets: string[];
  /**
   * Whether every assertion names what the request asks for: `mcp_method`, `mcp_name` and `arguments_sha256`. The gateway
   * then reads every message, so `body_bytes` may be at most 8388608. Without this key, an assertion names them only where
   * the gateway reads messages anyway: with `rules`, `cache_lists`, `parameter_fields`, or `limits` by tool. Default:
   * `false`.
   */
  operation?: boolean;
}
/**
 * An authorization server whose access tokens the gateway accepts.
 */
export interface IssuerDocument {
  /**
   * Signature algorithms that tokens of this issuer may use: any of `RS256`, `RS384`, `RS512`, `PS256`, `PS384`,
   * `PS512`, `ES256`, `ES384`, `ES512`, `EdDSA` or its newer name `Ed25519` (RFC 9864). Default: `["RS256", "ES256", "EdDSA"]`.
   */
  algorithms?: string[];
  claims?: Table1;
  /**
   * Scopes that every accepted token of this issuer has in addition to its own, for providers whose tokens cannot
   * have your scopes (Google, Cloudflare Access). Default: none.
   */
  grant_scopes?: string[];
  /**
   * Accepts tokens whose header has `jku`, `x5u`, `x5c` or `jwk`, which contain a key or the location of one (RFC 7515
   * §4.1). The gateway ignores these members and uses only the keys of this issuer (RFC 8725 §3.10). SAP XSUAA and
   * Cloud Foundry UAA send `jku`. Default: `false`, which rejects such tokens.
   */
  ignore_key_headers?: boolean;
  introspection?: IntrospectionDocument;
  /**
   * The issuer identifier (RFC 8414 §2): identical to `iss` in its tokens and to `issuer` in its metadata, byte for
   * byte, including a trailing slash.
   */
  issuer: string;
  /**
   * The URL of the JWK set, for a provider without metadata. Default: from the metadata at the locations of RFC 8414
   * §3 and OpenID Connect Discovery §4, in which `issuer` must equal the issuer identifier above.
   */
  jwks_uri?: string;
  /**
   * Seconds by which clocks may differ when the gateway checks `exp`, `nbf` and `iat`, 0 to 120. Default: 30.
   */
  leeway_seconds?: number;
  /**
   * The name of this issuer in `issuers` of resources and in logs: 1 to 64 letters, digits, `-`, `_`, `.`.
   */
  name: string;
  /**
   * The provider, whose particular rules then need no configuration: `generic` (RFC 9068), `auth0`,
   * `cloudflare_access`, `cognito`, `entra_id`, `google`, `keycloak` or `okta`. `docs/identity-providers.md`
   * describes how they differ. Default: `generic`.
   */
  profile?: "generic" | "auth0" | "cloudflare_access" | "cognito" | "entra_id" | "google" | "keycloak" | "okta";
  /**
   * A static public key instead of a key set, so that the gateway fetches nothing: PEM
   * (`-----BEGIN PUBLIC KEY-----`) or a JWK as a JSON string. A key without an id, such as a PEM key, verifies
   * tokens with any `kid`. Excludes `jwks_uri`.
   */
  public_key?: string;
  /**
   * Tenants whose tokens the gateway accepts, if `issuer` has `{tenantid}` in place of the tenant: each is one value
   * of `tid`. Required with such an issuer, and an error with any other.
   */
  tenants?: string[];
  /**
   * Values of the `typ` header that mark an access token, without `application/`, in any case; `absent` accepts
   * tokens without `typ`. Default: the values of the profile; `["at+jwt"]` for `generic`.
   */
  token_types?: string[];
}
/**
 * Claims that every token must have, each with its accepted values. `hd = ["acme.example"]` requires a claim `hd`
 * that equals one of the values, or is an array that contains one of them. Numbers and booleans are compared as
 * JSON writes them. Default: none.
 */
export interface Table1 {
  [k: string]: string[];
}
/**
 * Makes the gateway ask the issuer about tokens (RFC 7662); `tokens` says about which. Default: the gateway
 * verifies JWTs itself, and rejects other tokens.
 */
export interface IntrospectionDocument {
  /**
   * Accepts answers without `aud`, for providers that never state the audience of a token. Any token of that
   * provider then opens this gateway, whichever service it was issued for. Default: `false`.
   */
  allow_missing_audience?: boolean;
  /**
   * How this gateway authenticates to the issuer: `client_secret_basic`, `client_secret_post` or `private_key_jwt`.
   * Default: `client_secret_basic`.
   */
  authentication?: "client_secret_basic" | "client_secret_post" | "private_key_jwt";
  /**
   * Seconds for which the gateway uses an answer again at most, 0 to 3600; never after `exp`. Default: 60.
   */
  cache_seconds?: number;
  /**
   * The client id of this gateway at the issuer.
   */
  client_id: string;
  /**
   * The URL of the introspection endpoint. Default: `introspection_endpoint` of the issuer's metadata.
   */
  endpoint?: string;
  /**
   * Seconds for which the gateway rejects a token that is not active without asking again, 0 to 300. Default: 10.
   */
  negative_cache_seconds?: number;
  /**
   * The name of the Worker secret that holds the client secret; for `private_key_jwt` the private key, in the form
   * that `npx portcullis keys make` prints.
   */
  secret: string;
  /**
   * Asks for an answer that is signed as a JWT (RFC 9701), and accepts no other answer. Whether a provider signs its
   * answers depends on this client's registration there, so its metadata does not say it. Default: `false`.
   */
  signed_response?: boolean;
  /**
   * The member of the answer that identifies the user, for providers that leave out `sub`: for example `username`. The
   * provider must never give its value to another user. The gateway refuses a token whose answer lacks it. Default: `sub`;
   * if an answer has none, the subject is `client_id`, so that all users of that client are one subject for rules,
   * limits and sessions.
   */
  subject_claim?: string;
  /**
   * Seconds within which the provider must answer, 1 to 30; otherwise the gateway answers 503. Default: 5.
   */
  timeout_seconds?: number;
  /**
   * How tokens of this issuer begin. If a resource has more than one issuer or verifier that is asked about opaque
   * tokens, all but one need a prefix. Default: tokens may begin with anything.
   */
  token_prefix?: string;
  /**
   * About which tokens the gateway asks: `opaque` for tokens that are not JWTs; `all` for JWTs too, so that the
   * gateway rejects a token within `cache_seconds` after the issuer revoked it. Default: `opaque`.
   */
  tokens?: "opaque" | "all";
}
/**
 * What the log contains.
 */
export interface LogDocument {
  /**
   * The name of an Analytics Engine binding. The gateway writes a data point there for each request, whether the
   * request has a line in the log or not: `docs/operations.md` describes its members and a dashboard. Default: none.
   */
  analytics_engine?: string;
  /**
   * The name of the Worker secret that keys the pseudonyms of subjects: 32 characters or more. With it, only a party
   * that has the secret can test a guess at a subject. Default: `public_url` keys the pseudonyms, and every reader
   * of the log knows it.
   */
  pseudonym_secret?: string;
  /**
   * Which requests have a line in the log: `all`, or only `refused` ones. The decision log has the decisions of
   * rules in both cases. Default: `all`.
   */
  requests?: "all" | "refused";
}
/**
 * Counters of the isolate that answers, at `/metrics` (`OpenMetrics`). Default: none.
 */
export interface MetricsDocument {
  /**
   * The name of the Worker secret that a reader of the counters must send as a bearer token: 32 characters or more.
   */
  secret: string;
}
/**
 * Who operates this gateway, as its pages show it to users. Default: the pages show the host of `public_url`.
 */
export interface OperatorDocument {
  /**
   * The color of the main buttons and of the mark, as `#rrggbb`. Text on it is black or white, whichever has the higher
   * contrast: that is at least 4.5:1 on every color (WCAG 2.2, 1.4.3). Default: blue.
   */
  color?: string;
  /**
   * A logo, as a data URL of a PNG or SVG image: `data:image/png;base64,` or `data:image/svg+xml;base64,` and at most
   * 16384 characters in all. The pages show it on white, 36 pixels high and at most 112 wide. One variable holds 5 KB in
   * total on Cloudflare Workers: with a larger logo the document must be in KV (`stored`). Default: the first letter or
   * digit of the name, on the color.
   */
  logo?: string;
  /**
   * The name of the operator: 1 to 60 characters, without control characters and invisible ones. Default: the host of
   * `public_url`.
   */
  name?: string;
}
/**
 * A path that any caller may reach without a token, with `GET` and `HEAD` only.
 */
export interface PublicPathDocument {
  /**
   * The complete URL that answers for this path: the gateway appends nothing except the query. Must be `https`,
   * except loopback in development. Optional with `service`.
   */
  origin?: string;
  /**
   * The exact path.
   */
  path: string;
  /**
   * The name of a service binding through which the gateway reaches the origin server, instead of over the network.
   */
  service?: string;
}
/**
 * A protected resource: an MCP endpoint.
 */
export interface ResourceDocument {
  /**
   * MCP methods that a caller without credentials may use: `initialize` (with `notifications/initialized`),
   * `server/discover`, `ping` and the methods of lists, such as `tools/list`. Such a caller has no scopes and no
   * identity: lists show what the rules allow to every caller. The origin server gets no identity fields and no
   * assertion. A request with any other method, with an invalid credential, or with a body of more than 64 KB gets 401
   * as usual. Default: none.
   */
  anonymous?: string[];
  /**
   * Prefixes of the API key sets that this resource accepts, in `Authorization: Bearer` or `X-API-Key`. Default:
   * none.
   */
  api_keys?: string[];
  approvals?: ApprovalsDocument;
  /**
   * Accepted audiences: `aud` of the token must have at least one of them. Default: the resource identifier only, as
   * MCP requires (R2). Set this for providers that do not support resource indicators.
   */
  audiences?: string[];
  /**
   * The largest request body in bytes, at most 104857600; the gateway answers a larger one with 413. At most 8388608
   * if the gateway reads messages: with `rules`, `sessions`, `lock`, `guards`, `bounds`, `hooks`, `budgets`, `cache_lists`, `parameter_fields`, or `limits` by tool. Default:
   * 4194304.
   */
  body_bytes?: number;
  /**
   * Bounds by tool: how large calls and results may be, how long they may take, and whether they have to fit the schemas of the tool.
   * Guide: `docs/trust.md`. Default: none.
   */
  bounds?: BoundDocument[];
  /**
   * Budgets: how many calls of tools a caller, a client or a tool has in a day, counted exactly for all isolates. Guide:
   * `docs/trust.md`. Default: none.
   */
  budgets?: BudgetDocument[];
  /**
   * Caches lists of the modern era that the origin server calls public (`cacheScope`), for as long as it says
   * (`ttlMs`, at most one day), in memory and in the data-center (colo) cache. Each reader gets them filtered.
   * Default: `true` with `rules`, except with a `credential` of each caller; else `false`.
   */
  cache_lists?: boolean;
  /**
   * Tokens that are bound to a client certificate (RFC 8705 §3): `off` rejects them, `optional` accepts them on a
   * connection with that certificate, `required` accepts no other tokens. Needs mutual TLS on the zone. Default:
   * `off`.
   */
  certificate_bound?: "off" | "optional" | "required";
  credential?: OriginCredentialDocument;
  /**
   * `resource_documentation` in the metadata: the URL of a page for developers.
   */
  documentation?: string;
  /**
   * Tokens that are bound to a key (RFC 9449): `off` rejects them, `optional` accepts them and requires a proof with
   * them, `required` accepts no other tokens. Default: `off`.
   */
  dpop?: "off" | "optional" | "required";
  /**
   * Fields of the client's requests that the gateway forwards to the origin server, in addition to `Accept`,
   * `Accept-Language`, `Content-Type`, `User-Agent`, `Last-Event-ID` and the `Mcp-*` fields: for example `X-Tenant-Id`.
   * Pages of `allowed_origins` may send them too. Never fields with credentials or cookies, and none that the gateway or
   * a proxy sets (`X-Forwarded-*`, `CF-*`, `X-Portcullis-*`). The client chooses their values: the origin server must not
   * take them for a statement about who calls. Default: none.
   */
  forward_fields?: string[];
  /**
   * Guards, which look for credentials and personal data in calls and results. Guide: `docs/trust.md`. Default: none.
   */
  guards?: GuardDocument[];
  /**
   * Hooks: services of yours that are asked about calls and results. Guide: `docs/trust.md`. Default: none.
   */
  hooks?: HookDocument[];
  /**
   * Whether the origin server learns who calls: `forward` sends the `x-portcullis-*` fields and the identity assertion,
   * `none` sends neither. Default: `forward`; with `credential.static`, `credential.client_credentials` or `credential.per_user` it is
   * `none`, so that names of users do not reach another party, unless `service` is set. Set `forward` for a server of your own.
   */
  identity?: "forward" | "none";
  /**
   * Claims of the caller that the origin server gets, in addition to its subject, issuer, client and scopes: `email`,
   * `groups`, `roles`, or the name of a claim, or a JSON Pointer such as `/org/department`. They arrive as
   * `X-Portcullis-Email`, `X-Portcullis-Groups`, `X-Portcullis-Roles` and `X-Portcullis-Claim-NAME`, percent-encoded, lists
   * separated by commas, and in the identity assertion under `claims`. `email` arrives only if the credential has
   * `email_verified`. A caller whose claims have more than 8 KB gets 403. Default: none.
   */
  identity_claims?: string[];
  /**
   * Seconds for which the origin server's answer may be silent after its head, 1 to 3600; then the gateway cuts
   * it off. The gateway then handles each part of an answer itself, which costs about 25 µs for each event. Without a
   * limit an answer may be silent as long as the client waits for it, and the platform carries it. Default: no limit.
   */
  idle_timeout_seconds?: number;
  /**
   * Names of the issuers whose tokens this resource accepts. A resource must accept at least one kind of credential:
   * from `issuers`, `api_keys` or `verifiers`. Default: none.
   */
  issuers?: string[];
  /**
   * Seconds of silence in an event stream after which the gateway sends the client a comment (`: keep-alive`), 1 to 300,
   * so that no proxy on the way closes the connection as idle. Clients ignore comments (HTML §9.2.6). The gateway then
   * handles each event itself, as with `idle_timeout_seconds`. Default: no comments.
   */
  keep_alive_seconds?: number;
  labels?: Table5;
  /**
   * Rate limits of callers. The gateway counts only requests that the rules permit. Callers without credentials
   * (`anonymous`) count by their network address, an IPv6 address by its first 64 bits. Default: unlimited.
   */
  limits?: LimitDocument[];
  /**
   * Seconds that each of the `servers` has to answer a list or to open a stream, 1 to 30. What takes longer is left out, and all
   * of them together have 40 seconds. Default: 5.
   */
  list_timeout_seconds?: number;
  lock?: LockDocument;
  /**
   * Those definitions. Commands take them from `portcullis.lock.json` beside the configuration. Default: none.
   */
  locked?: {
    [k: string]: unknown;
  };
  /**
   * `resource_name` in the metadata: a name for people.
   */
  name?: string;
  /**
   * The URL of the MCP server to which the gateway forwards requests. Must be `https`, except loopback in
   * development. Optional with `service`.
   */
  origin?: string;
  parameter_fields?: Table23;
  /**
   * The path of the endpoint, for example `/mcp`. A request goes to the resource with the longest path that the
   * request's path equals or lies under, by whole segments: `/mcp` gets `/mcp` and `/mcp/x`, but not `/mcpx`. The
   * resource identifier (RFC 9728) is `public_url` followed by this path.
   */
  path: string;
  /**
   * How many requests of one caller the rules, missing scopes or the check of its session may reject in a minute, in
   * one isolate, 10 to 1000000. Beyond this number, all requests of the caller to this resource get 429 until the
   * minute ends. Default: 600.
   */
  refusals_per_minute?: number;
  /**
   * Seconds within which the origin server must begin to answer, 1 to 3600; otherwise the gateway answers 504.
   * Default: 100.
   */
  response_timeout_seconds?: number;
  /**
   * Rules that decide which callers may do what. The gateway reads them in order: the first rule that matches
   * decides, and the gateway denies what no rule matches. Default: no rules; a token that is valid for the resource
   * is valid for everything behind it.
   */
  rules?: RuleDocument[];
  /**
   * `enforce`, or `observe`: every request passes, lists are not filtered, and the log says what the rules would
   * have decided. Default: `enforce`.
   */
  rules_mode?: "enforce" | "observe";
  /**
   * A prefix that the gateway puts before each scope in challenges and metadata, which tell clients what to request.
   * For Entra ID, whose clients request `https://mcp.example.com/mcp/Tools.Use` and whose tokens contain
   * `Tools.Use`. Default: empty.
   */
  scope_prefix?: string;
  /**
   * Scopes that a token must have for any request to this resource. Challenges and metadata name them. Default:
   * none.
   */
  scopes?: string[];
  /**
   * Several MCP servers behind this one resource, instead of `origin`: clients see the tools, prompts and resources of all of
   * them under names of their own. Needs `sessions`. At most 40. Guide: `docs/federation.md`. Default: none.
   */
  servers?: ServerDocument[];
  /**
   * The name of a service binding through which the gateway reaches the origin server, instead of over the network.
   */
  service?: string;
  /**
   * How lists show tools that need a step-up: `hide` leaves them out until the caller has the scopes, `mark` lists
   * them with `_meta["portcullis/step-up"]`, which names the scopes. Default: `hide`.
   */
  step_up_in_lists?: "hide" | "mark";
  /**
   * Whether a list that lacks one of the `servers` is refused with 502. Otherwise the list names the servers that are left
   * out, in `_meta["portcullis/left-out"]`. Default: `false`.
   */
  strict_servers?: boolean;
  /**
   * Names of the verifiers that this resource accepts. Default: none.
   */
  verifiers?: string[];
  /**
   * How `tools/list` shows the tools of `servers`: `all` with their definitions; `names` without schemas; `search` as two tools,
   * `search_tools` and `call_tool`, which find tools and call them. Default: `all`.
   */
  view?: "all" | "names" | "search";
}
/**
 * How calls wait for the approval of a person, where a rule has `effect = "approve"`. Guide: `docs/trust.md`. Default: 15
 * minutes, and nothing learns of them but the page of the approvers.
 */
export interface ApprovalsDocument {
  /**
   * The name of a Queue binding that gets the same messages. Default: none.
   */
  queue?: string;
  /**
   * Seconds for which a call waits, and for which its approval or denial is valid, 60 to 86400. Default: 900.
   */
  seconds?: number;
  /**
   * The name of a Worker secret of 32 characters or more, which they get as `Authorization: Bearer`. Default: none.
   */
  secret?: string;
  /**
   * The name of a service binding that gets these messages; `url` then only says the path. Default: none.
   */
  service?: string;
  /**
   * The URL that gets a message for each call that waits: `https`, or `http` on loopback in development. Default: none.
   */
  url?: string;
  /**
   * Seconds for which the gateway holds a call that comes again before a person decided, 0 to 60. Default: 20.
   */
  wait_seconds?: number;
}
/**
 * Bounds for the calls of some tools. If several fit a call, the strictest of each counts. Guide: `docs/trust.md`.
 */
export interface BoundDocument {
  /**
   * Seconds until the answer has to be complete, 1 to 3600. An answer that has not begun by then is 504, one that has begun breaks off.
   * Default: no bound but `response_timeout_seconds`.
   */
  answer_seconds?: number;
  /**
   * Deepest nesting of the arguments, and of the result, 1 to 100. An object or array without others in it has the depth 1. The gateway
   * holds results, of at most 1 MB or `response_bytes`. Default: no bound.
   */
  depth?: number;
  /**
   * Most such calls of one caller at the same time, in each isolate, 1 to 1000. One more gets 429. Needs `answer_seconds`. Default: no
   * bound.
   */
  in_flight?: number;
  /**
   * Most members and elements, at all levels, of the arguments, and of the result, 1 to 1000000. The gateway holds results, as with
   * `depth`. Default: no bound.
   */
  items?: number;
  /**
   * Targets: the tools that `labels` of the resource lists under these labels.
   */
  labels?: string[];
  /**
   * Targets: JSON-RPC methods. Default: those that the other targets imply.
   */
  methods?: string[];
  /**
   * Targets: names of prompts.
   */
  prompts?: string[];
  /**
   * Most bytes of the message with the call, 1 to 8388608. Default: `body_bytes` of the resource.
   */
  request_bytes?: number;
  /**
   * Targets: URIs of MCP resources.
   */
  resources?: string[];
  /**
   * Most bytes of the message with the result, 1 to 4194304. The gateway holds a result up to this size until it is complete, and a
   * larger one does not pass at all. Default: no bound.
   */
  response_bytes?: number;
  /**
   * Holds the arguments of a tool to its `inputSchema`, and structured results to its `outputSchema`, as they are in the lock: `enforce`,
   * or `observe`, which only says in the log what does not fit. Needs `lock`, and a Worker that is built with schema checks
   * (`docs/trust.md`). The gateway holds results, as with `depth`. Default: it does not.
   */
  schema?: "enforce" | "observe";
  /**
   * Targets: names of tools, as in rules. Without any target, the bounds are for every call but the messages of the protocol itself.
   */
  tools?: string[];
}
/**
 * A budget of calls in a day (UTC). A Durable Object counts them, exactly and for all isolates. A call beyond the budget is refused, and so is
 * every call while the object cannot be reached. Each such call waits for the object, about 5 ms in the same region.
 */
export interface BudgetDocument {
  /**
   * The name of a Durable Object binding with the class `DayBudget`.
   */
  binding: string;
  /**
   * What counts together: any of `subject`, `client`, `tool`. If empty, all calls count together.
   */
  by: LimitKeyName[];
  /**
   * Calls that a day has, 1 to 1000000000.
   */
  calls: number;
  /**
   * Tools whose calls count, as in rules. Default: all tools.
   */
  tools?: string[];
  /**
   * The log has a line (`budget_warning`) when so many calls of a day are made, 1 to 1000000000 and at most
   * `calls`. Default: no line.
   */
  warn_at?: number;
}
/**
 * How the gateway authenticates to the origin server. The caller's own token never reaches it. Default: the gateway does
 * not authenticate.
 */
export interface OriginCredentialDocument {
  client_credentials?: ClientCredentialsDocument;
  enterprise?: EnterpriseDocument;
  per_user?: PerUserDocument;
  /**
   * Fields from Worker secrets, at most 8. Every caller of the resource acts with the rights of this one credential.
   */
  static?: StaticFieldDocument[];
  token_exchange?: TokenExchangeDocument;
}
/**
 * An access token of the gateway itself (RFC 6749 §4.4). Every caller of the resource acts with its rights.
 */
export interface ClientCredentialsDocument {
  /**
   * `audience` of the request, for authorization servers that use it instead of `resource`. Default: none.
   */
  audience?: string;
  client: TokenClientDocument;
  /**
   * `resource` of the request (RFC 8707): the URL of the server that the token is for. Default: none.
   */
  resource?: string;
  /**
   * The scopes that the gateway requests. Default: those that the authorization server chooses.
   */
  scopes?: string[];
}
/**
 * The client.
 */
export interface TokenClientDocument {
  /**
   * How this gateway authenticates there: `client_secret_basic`, `client_secret_post` or `private_key_jwt`. Default:
   * `client_secret_basic`.
   */
  authentication?: "client_secret_basic" | "client_secret_post" | "private_key_jwt";
  /**
   * The client id of this gateway there. Only `token_exchange` can do without: the caller's token is then the only credential in
   * the request.
   */
  client_id?: string;
  /**
   * The issuer identifier of the authorization server: `aud` of signed client assertions (RFC 7523 §3), and `audience` of the
   * identity assertion for `enterprise.server`, where it is required. Default: `token_endpoint`.
   */
  issuer?: string;
  /**
   * The name of the Worker secret that holds the client secret; for `private_key_jwt` the private key, in the form that
   * `npx portcullis keys make` prints. Only `token_exchange` can do without: as a public client, or without `client_id`.
   */
  secret?: string;
  /**
   * Seconds within which it must answer, 1 to 30; otherwise the gateway answers 503. Default: 5.
   */
  timeout_seconds?: number;
  /**
   * The URL of the token endpoint. Must be `https`, except loopback in development. The client's secret, and the caller's
   * token where it is exchanged, go to this URL and nowhere else.
   */
  token_endpoint: string;
}
/**
 * An access token for the caller by Enterprise-Managed Authorization: the identity provider exchanges the caller's
 * token for an identity assertion (ID-JAG), and the authorization server of the origin server accepts that.
 */
export interface EnterpriseDocument {
  provider: TokenClientDocument1;
  /**
   * `resource` of the identity assertion: the resource identifier of the MCP server. Default: `origin`.
   */
  resource?: string;
  /**
   * The scopes that the gateway requests. Default: those that the servers choose.
   */
  scopes?: string[];
  server: TokenClientDocument2;
  /**
   * What the caller's token is (`subject_token_type`). Default: `urn:ietf:params:oauth:token-type:access_token`.
   */
  subject_token_type?: string;
}
/**
 * The client at the identity provider, which issues the identity assertion.
 */
export interface TokenClientDocument1 {
  /**
   * How this gateway authenticates there: `client_secret_basic`, `client_secret_post` or `private_key_jwt`. Default:
   * `client_secret_basic`.
   */
  authentication?: "client_secret_basic" | "client_secret_post" | "private_key_jwt";
  /**
   * The client id of this gateway there. Only `token_exchange` can do without: the caller's token is then the only credential in
   * the request.
   */
  client_id?: string;
  /**
   * The issuer identifier of the authorization server: `aud` of signed client assertions (RFC 7523 §3), and `audience` of the
   * identity assertion for `enterprise.server`, where it is required. Default: `token_endpoint`.
   */
  issuer?: string;
  /**
   * The name of the Worker secret that holds the client secret; for `private_key_jwt` the private key, in the form that
   * `npx portcullis keys make` prints. Only `token_exchange` can do without: as a public client, or without `client_id`.
   */
  secret?: string;
  /**
   * Seconds within which it must answer, 1 to 30; otherwise the gateway answers 503. Default: 5.
   */
  timeout_seconds?: number;
  /**
   * The URL of the token endpoint. Must be `https`, except loopback in development. The client's secret, and the caller's
   * token where it is exchanged, go to this URL and nowhere else.
   */
  token_endpoint: string;
}
/**
 * The client at the authorization server of the origin server. Its `issuer` is required.
 */
export interface TokenClientDocument2 {
  /**
   * How this gateway authenticates there: `client_secret_basic`, `client_secret_post` or `private_key_jwt`. Default:
   * `client_secret_basic`.
   */
  authentication?: "client_secret_basic" | "client_secret_post" | "private_key_jwt";
  /**
   * The client id of this gateway there. Only `token_exchange` can do without: the caller's token is then the only credential in
   * the request.
   */
  client_id?: string;
  /**
   * The issuer identifier of the authorization server: `aud` of signed client assertions (RFC 7523 §3), and `audience` of the
   * identity assertion for `enterprise.server`, where it is required. Default: `token_endpoint`.
   */
  issuer?: string;
  /**
   * The name of the Worker secret that holds the client secret; for `private_key_jwt` the private key, in the form that
   * `npx portcullis keys make` prints. Only `token_exchange` can do without: as a public client, or without `client_id`.
   */
  secret?: string;
  /**
   * Seconds within which it must answer, 1 to 30; otherwise the gateway answers 503. Default: 5.
   */
  timeout_seconds?: number;
  /**
   * The URL of the token endpoint. Must be `https`, except loopback in development. The client's secret, and the caller's
   * token where it is exchanged, go to this URL and nowhere else.
   */
  token_endpoint: string;
}
/**
 * An access token of the caller's own account at the server's authorization server: each user connects it in the browser.
 * Needs `authorization_server`.
 */
export interface PerUserDocument {
  /**
   * How this gateway authenticates there: `client_secret_basic`, `client_secret_post` or `private_key_jwt`. Default:
   * `client_secret_basic`.
   */
  authentication?: "client_secret_basic" | "client_secret_post" | "private_key_jwt";
  /**
   * The client id of this gateway there, if you registered it: with the redirect URI `public_url`, the path of the authorization
   * server, `/connected`, and `path` of the resource. Needs `issuer`. Default: the gateway introduces itself, by a client ID
   * metadata document, else by registration (RFC 7591).
   */
  client_id?: string;
  /**
   * The issuer identifier of the authorization server, whose metadata says the rest (RFC 8414). Default: the first one that the
   * origin server names in its own metadata (RFC 9728).
   */
  issuer?: string;
  parameters?: Table22;
  /**
   * `resource` of the requests (RFC 8707). Default: `origin`.
   */
  resource?: string;
  /**
   * The scopes that the gateway requests. Default: those of the origin server's challenge, else those that it lists in its metadata.
   */
  scopes?: string[];
  /**
   * The name of the Worker secret that holds the client secret, or the private key. Without it the client is a public one.
   * Needs `client_id`.
   */
  secret?: string;
  /**
   * Whether requests contain `resource`. Set it to `false` for an authorization server that refuses the parameter, as Entra ID
   * does: it then names the server by the scopes. Default: `true`.
   */
  send_resource?: boolean;
  /**
   * Seconds within which the authorization server must answer, 1 to 30; otherwise the gateway answers 503. Default: 5.
   */
  timeout_seconds?: number;
}
/**
 * More parameters of the authorization request, at most 8: for example `access_type = "offline"` for Google. Default: none.
 */
export interface Table22 {
  [k: string]: string;
}
/**
 * A field from Worker secrets.
 */
export interface StaticFieldDocument {
  /**
   * The name of the field. None that the gateway sets itself, and none of `forward_fields`. Default: `Authorization`.
   */
  field?: string;
  /**
   * The authentication scheme, which the gateway writes before the secret. Empty: the field is the secret alone. Default:
   * `Bearer` in `Authorization`, else empty.
   */
  scheme?: string;
  /**
   * The names of one or two Worker secrets. With two, a rotation is in progress: if the origin server answers 401 to the
   * one, the gateway repeats the request once with the other. So that it can, it then reads every message, and `body_bytes`
   * may be at most 8388608.
   */
  secrets: string[];
}
/**
 * An access token for the caller, in exchange for its own (RFC 8693).
 */
export interface TokenExchangeDocument {
  /**
   * Whether the request names this gateway as the actor (RFC 8693 §1.1): `actor_token` is then a JWT with `public_url` as
   * `iss` and `sub`, signed with the key of `identity_assertion`. Default: `false`.
   */
  actor?: boolean;
  /**
   * `audience` of the request (RFC 8693 §2.1): the name of the server at the authorization server. Default: none.
   */
  audience?: string;
  client: TokenClientDocument3;
  /**
   * `rfc8693`, or `entra_on_behalf_of` for the on-behalf-of flow of Entra ID. Default: `rfc8693`.
   */
  profile?: "rfc8693" | "entra_on_behalf_of";
  /**
   * What the gateway requests (`requested_token_type`). Default: none; the authorization server chooses.
   */
  requested_token_type?: string;
  /**
   * `resource` of the request (RFC 8707): the URL of the server that the token is for. Default: none.
   */
  resource?: string;
  /**
   * The scopes that the gateway requests; required for `entra_on_behalf_of`. Default: those that the authorization server
   * chooses.
   */
  scopes?: string[];
  /**
   * What the caller's token is (`subject_token_type`). Default: `urn:ietf:params:oauth:token-type:access_token`.
   */
  subject_token_type?: string;
}
/**
 * The client.
 */
export interface TokenClientDocument3 {
  /**
   * How this gateway authenticates there: `client_secret_basic`, `client_secret_post` or `private_key_jwt`. Default:
   * `client_secret_basic`.
   */
  authentication?: "client_secret_basic" | "client_secret_post" | "private_key_jwt";
  /**
   * The client id of this gateway there. Only `token_exchange` can do without: the caller's token is then the only credential in
   * the request.
   */
  client_id?: string;
  /**
   * The issuer identifier of the authorization server: `aud` of signed client assertions (RFC 7523 §3), and `audience` of the
   * identity assertion for `enterprise.server`, where it is required. Default: `token_endpoint`.
   */
  issuer?: string;
  /**
   * The name of the Worker secret that holds the client secret; for `private_key_jwt` the private key, in the form that
   * `npx portcullis keys make` prints. Only `token_exchange` can do without: as a public client, or without `client_id`.
   */
  secret?: string;
  /**
   * Seconds within which it must answer, 1 to 30; otherwise the gateway answers 503. Default: 5.
   */
  timeout_seconds?: number;
  /**
   * The URL of the token endpoint. Must be `https`, except loopback in development. The client's secret, and the caller's
   * token where it is exchanged, go to this URL and nowhere else.
   */
  token_endpoint: string;
}
/**
 * A guard: it looks for credentials and personal data in calls and results. All guards whose targets and conditions fit a call look at
 * it. Guide: `docs/trust.md`.
 */
export interface GuardDocument {
  /**
   * What it does with what it finds: `mask` puts `[masked FORM]` in its place; `deny` does not let the message pass; `observe` does
   * nothing. The log names the form in all cases.
   */
  action: "mask" | "deny" | "observe";
  /**
   * What it looks for: `credentials` of known forms, `cards` (numbers of payment cards with a right check digit), `iban` (with right
   * check digits), `email`.
   */
  find: CategoryName[];
  /**
   * The name of the guard in the log: 1 to 64 letters, digits, `-`, `_`, `.`. Default: `guard-N`, counted from 1.
   */
  id?: string;
  /**
   * Targets: the tools that `labels` of the resource lists under these labels.
   */
  labels?: string[];
  /**
   * Targets: JSON-RPC methods, for example `tools/call`. Default: those that the other targets imply.
   */
  methods?: string[];
  /**
   * Where it looks: in `arguments` (and in what a client answers to questions of the server), in `results` (and in everything else
   * that a server sends with them). Default: both.
   */
  on?: DirectionName[];
  /**
   * Targets: names of prompts.
   */
  prompts?: string[];
  /**
   * Targets: URIs of MCP resources.
   */
  resources?: string[];
  /**
   * Targets: names of tools, as in rules. Without any target, the guard looks at every call but the messages of the protocol itself.
   */
  tools?: string[];
  when?: WhenDocument;
}
/**
 * Conditions on the caller that must also hold, as in rules, but none on `arguments`. Default: none.
 */
export interface WhenDocument {
  arguments?: Table3;
  /**
   * The caller's network as Cloudflare reports it: autonomous system numbers.
   */
  asns?: number[];
  claims?: Table4;
  /**
   * The client is one of these.
   */
  clients?: string[];
  /**
   * The caller's country as Cloudflare reports it: ISO 3166-1 alpha-2, for example `DE`. If the country is unknown,
   * the rule does not match.
   */
  countries?: string[];
  /**
   * The caller is in one of these groups: values of the claims from which the issuer's profile reads groups.
   */
  groups?: string[];
  /**
   * The credential comes from one of these issuers or verifiers, or from an API key set with one of these prefixes.
   */
  issuers?: string[];
  /**
   * Whether the caller presented a verified client certificate.
   */
  mtls?: boolean;
  /**
   * The credential that the gateway uses at the origin server of this resource is of one of these kinds. It is the same for
   * every caller: with this condition, the same rules can stand at several resources.
   */
  origin_credentials?: OriginCredentialName[];
  /**
   * The caller has one of these roles: values of the claims from which the issuer's profile reads roles.
   */
  roles?: string[];
  /**
   * The caller has all of these scopes, directly or through the scope hierarchy (`scope_includes`).
   */
  scopes?: string[];
  /**
   * The subject is one of these.
   */
  subjects?: string[];
}
/**
 * Tests on top-level arguments of a tool or prompt, by name.
 */
export interface Table3 {
  [k: string]: ArgumentDocument;
}
/**
 * A test on one argument. Every part that is given must hold; a missing argument fails every test except
 * `present = false`.
 */
export interface ArgumentDocument {
  /**
   * The argument is a number that is not less than this one.
   */
  at_least?: number;
  /**
   * The argument is a number that is not greater than this one.
   */
  at_most?: number;
  /**
   * The argument is this boolean.
   */
  is?: boolean;
  /**
   * The argument is a string that matches this pattern: `*` matches any characters.
   */
  like?: string;
  /**
   * The argument is one of these strings.
   */
  one_of?: string[];
  /**
   * Whether the argument is present and not `null`.
   */
  present?: boolean;
}
/**
 * Claims, each with its accepted values: the claim equals one of them, or is an array that contains one of them. A
 * name that begins with `/` is a JSON Pointer (RFC 6901) into the claims, for example `/realm_access/roles`.
 */
export interface Table4 {
  [k: string]: string[];
}
/**
 * A hook: a service of yours that is asked about calls before they are forwarded, and about messages of the server before the client gets
 * them. Hooks are asked in the order of their entries. Guide with the contract: `docs/trust.md`.
 */
export interface HookDocument {
  /**
   * Most bytes of the arguments or the message that it is asked about, 1 to 1048576. More counts as a failure. Default: 262144.
   */
  bytes?: number;
  /**
   * The name of the hook in the log: 1 to 64 letters, digits, `-`, `_`, `.`. Default: `hook-N`, counted from 1.
   */
  id?: string;
  /**
   * Targets: the tools that `labels` of the resource lists under these labels.
   */
  labels?: string[];
  /**
   * Targets: JSON-RPC methods. Default: those that the other targets imply.
   */
  methods?: string[];
  /**
   * What it is asked about: `arguments` of calls, `results` (and everything else that a server sends with them). Default: both.
   */
  on?: DirectionName[];
  /**
   * What happens if it does not answer as the contract says: `deny`, the message does not pass; `pass`, it does. Default: `deny`.
   */
  on_failure?: "deny" | "pass";
  /**
   * Targets: names of prompts.
   */
  prompts?: string[];
  /**
   * Targets: URIs of MCP resources.
   */
  resources?: string[];
  /**
   * The name of the Worker secret that the hook gets as a bearer token: 32 characters or more. Default: none.
   */
  secret?: string;
  /**
   * The name of a service binding through which the gateway asks it, instead of over the network.
   */
  service?: string;
  /**
   * Seconds within which it must answer, 1 to 30. Default: 5.
   */
  timeout_seconds?: number;
  /**
   * Targets: names of tools, as in rules. Without any target, the hook is asked about every call but the messages of the protocol itself.
   */
  tools?: string[];
  /**
   * Its URL. Must be `https`, except loopback in development. Required without `service`.
   */
  url?: string;
  when?: WhenDocument1;
}
/**
 * Conditions on the caller that must also hold, as in rules, but none on `arguments`. Default: none.
 */
export interface WhenDocument1 {
  arguments?: Table3;
  /**
   * The caller's network as Cloudflare reports it: autonomous system numbers.
   */
  asns?: number[];
  claims?: Table4;
  /**
   * The client is one of these.
   */
  clients?: string[];
  /**
   * The caller's country as Cloudflare reports it: ISO 3166-1 alpha-2, for example `DE`. If the country is unknown,
   * the rule does not match.
   */
  countries?: string[];
  /**
   * The caller is in one of these groups: values of the claims from which the issuer's profile reads groups.
   */
  groups?: string[];
  /**
   * The credential comes from one of these issuers or verifiers, or from an API key set with one of these prefixes.
   */
  issuers?: string[];
  /**
   * Whether the caller presented a verified client certificate.
   */
  mtls?: boolean;
  /**
   * The credential that the gateway uses at the origin server of this resource is of one of these kinds. It is the same for
   * every caller: with this condition, the same rules can stand at several resources.
   */
  origin_credentials?: OriginCredentialName[];
  /**
   * The caller has one of these roles: values of the claims from which the issuer's profile reads roles.
   */
  roles?: string[];
  /**
   * The caller has all of these scopes, directly or through the scope hierarchy (`scope_includes`).
   */
  scopes?: string[];
  /**
   * The subject is one of these.
   */
  subjects?: string[];
}
/**
 * Labels for tools that you have reviewed: `destructive = ["delete_*", "drop_table"]`. Rules refer to them. The
 * gateway ignores what the origin server states about its own tools (`readOnlyHint`, `destructiveHint`). Default:
 * none.
 */
export interface Table5 {
  [k: string]: string[];
}
/**
 * A rate limit. Each limit counts separately. A request over a limit gets 429 with `Retry-After`; `initialize` and
 * `server/discover` get 503.
 */
export interface LimitDocument {
  /**
   * The name of a rate-limiting binding with the same `limit` and `period`, which counts for all isolates of a data
   * center. Default: each isolate counts for itself.
   */
  binding?: string;
  /**
   * What counts together: any of `subject`, `client`, `tool`. If empty, all requests of the resource count together.
   */
  by: LimitKeyName[];
  /**
   * Requests that are permitted in a period.
   */
  requests: number;
  /**
   * The period in seconds: 10 or 60, the periods of the rate-limiting binding of Workers.
   */
  seconds: number;
  /**
   * Tools whose calls count, by name as in rules; other requests do not count. Default: every POST counts.
   */
  tools?: string[];
}
/**
 * How the gateway holds tools, prompts and resource templates to the definitions that were reviewed, which
 * `npx portcullis lock` writes into `portcullis.lock.json`. Guide: `docs/trust.md`. Default: it does not.
 */
export interface LockDocument {
  /**
   * `enforce` hides items that differ from their definitions in the lock, and refuses their use; `observe` only says in the log
   * what differs. Default: `enforce`.
   */
  mode?: "enforce" | "observe";
  /**
   * What a caller learns who uses such an item: `absent`, that it does not exist; `reason`, that its definition is not the one that
   * was reviewed. Default: `absent`.
   */
  refusal?: "absent" | "reason";
  /**
   * Items that are not in the lock: `closed` hides and refuses them; `observe` lets them pass, and the log names them. Default:
   * `closed`.
   */
  unlocked?: "closed" | "observe";
}
/**
 * Which argument each `Mcp-Param-*` field mirrors, as `x-mcp-header` in the input schemas of your tools says:
 * `Region = "region"`. The gateway requires that field and argument agree (T13, T15); it forwards other such
 * fields unread. Default: none.
 */
export interface Table23 {
  [k: string]: string;
}
/**
 * A rule about what callers may do at a resource. `docs/policy.md` explains rules and has a complete example.
 *
 * The gateway reads the rules of a resource in order, and the first rule that matches decides. The gateway denies what
 * no rule matches, except the messages of the protocol itself (`initialize`, `ping`, `server/discover`, lists,
 * notifications). A rule matches if one of its targets matches what the request asks for and every condition under
 * `when` holds.
 */
export interface RuleDocument {
  /**
   * Groups whose members may approve the calls of others, as the identity provider of `authorization_server.login` names
   * them. Only for `approve`. Default: none; the caller approves.
   */
  approver_groups?: string[];
  /**
   * Whether the caller may approve, after a fresh login. Only for `approve`. Default: `true` without `approver_groups`,
   * else `false`.
   */
  caller_approves?: boolean;
  /**
   * What a match means: `allow`; `deny` (for this caller, the target does not exist); `step_up`: a caller with
   * all of `scopes`, whose user signed in as `sign_in` says, may do it, and any other caller gets a challenge for them; or `approve`: a call of the tool waits
   * until a person approves it (guide: `docs/trust.md`).
   */
  effect: "allow" | "deny" | "step_up" | "approve";
  /**
   * The name of the rule in decisions, logs and reports: 1 to 64 letters, digits, `-`, `_`, `.`. Default: `rule-N`,
   * counted from 1.
   */
  id?: string;
  /**
   * Targets: the tools that `labels` of the resource lists under these labels.
   */
  labels?: string[];
  /**
   * Targets: JSON-RPC methods, for example `tools/call` or `tasks/*`. Default: those that the other targets imply.
   */
  methods?: string[];
  /**
   * `enforce`, or `observe`: the rule decides nothing, and the log says what it would have decided. Default:
   * `enforce`.
   */
  mode?: "enforce" | "observe";
  /**
   * Targets: names of prompts.
   */
  prompts?: string[];
  /**
   * Targets: URIs of MCP resources, for example `file:///docs/*`.
   */
  resources?: string[];
  /**
   * The scopes of `step_up`. `step_up` requires `scopes` or `sign_in`; they are an error for any other effect.
   */
  scopes?: string[];
  sign_in?: SignInDocument;
  /**
   * Targets: names of tools, for example `delete_*`. `*` matches any characters; every other character stands for
   * itself.
   */
  tools?: string[];
  when?: WhenDocument2;
}
/**
 * What `step_up` requires of the sign-in of the caller's user. Default: nothing.
 */
export interface SignInDocument {
  /**
   * The authentication context classes that are accepted (the claim `acr`), the preferred one first. Default: any.
   */
  acr?: string[];
  /**
   * Methods of which the user must have used one (the claim `amr`, RFC 8176), for example `mfa`. A challenge cannot name methods,
   * so `acr` or `max_age` must stand beside it. Default: any.
   */
  amr?: string[];
  /**
   * The most seconds since the user signed in (the claim `auth_time`), 10 to 31536000. Default: no limit.
   */
  max_age?: number;
}
/**
 * Conditions that must also hold. Default: none.
 */
export interface WhenDocument2 {
  arguments?: Table3;
  /**
   * The caller's network as Cloudflare reports it: autonomous system numbers.
   */
  asns?: number[];
  claims?: Table4;
  /**
   * The client is one of these.
   */
  clients?: string[];
  /**
   * The caller's country as Cloudflare reports it: ISO 3166-1 alpha-2, for example `DE`. If the country is unknown,
   * the rule does not match.
   */
  countries?: string[];
  /**
   * The caller is in one of these groups: values of the claims from which the issuer's profile reads groups.
   */
  groups?: string[];
  /**
   * The credential comes from one of these issuers or verifiers, or from an API key set with one of these prefixes.
   */
  issuers?: string[];
  /**
   * Whether the caller presented a verified client certificate.
   */
  mtls?: boolean;
  /**
   * The credential that the gateway uses at the origin server of this resource is of one of these kinds. It is the same for
   * every caller: with this condition, the same rules can stand at several resources.
   */
  origin_credentials?: OriginCredentialName[];
  /**
   * The caller has one of these roles: values of the claims from which the issuer's profile reads roles.
   */
  roles?: string[];
  /**
   * The caller has all of these scopes, directly or through the scope hierarchy (`scope_includes`).
   */
  scopes?: string[];
  /**
   * The subject is one of these.
   */
  subjects?: string[];
}
/**
 * One of several servers behind a resource.
 */
export interface ServerDocument {
  aliases?: Table24;
  credential?: OriginCredentialDocument1;
  descriptions?: Table25;
  /**
   * The era of MCP in which the gateway talks with this server: `modern` (2026-07-28) or `legacy` (up to 2025-11-25). Default: the
   * gateway asks the server, and prefers the era of the client if the server has both.
   */
  era?: "modern" | "legacy";
  /**
   * Patterns for the server's own names of tools and prompts, and for its URIs, that clients do not see and cannot use. Default:
   * none.
   */
  hidden?: string[];
  /**
   * Whether this server learns who calls, as `identity` of a resource. Default: as there.
   */
  identity?: "forward" | "none";
  /**
   * What URIs and URI templates begin with that clients see as they are, without the name of the server: `["docs://"]`. Each begins
   * with a scheme and `:`, other than `ui:`. No entry may begin with that of another server. Default: none.
   */
  keep_uris?: string[];
  /**
   * The name of the server, 1 to 32 characters: lower-case letters, digits and `-`, beginning with a letter. It is in the URIs of
   * its resources, in logs and in decisions.
   */
  name: string;
  /**
   * The URL of the MCP server. Must be `https`, except loopback in development. Optional with `service`.
   */
  origin?: string;
  /**
   * What the names of its tools and prompts begin with, 1 to 40 characters of `A-Z a-z 0-9 _ - . /`. No prefix may begin with
   * that of another server. Default: the name and `_`.
   */
  prefix?: string;
  prompt_aliases?: Table26;
  /**
   * The name of a service binding through which the gateway reaches the server.
   */
  service?: string;
}
/**
 * Other names for tools: `{ create_issue = "new_issue" }` has clients see `new_issue` in place of the prefix and
 * `create_issue`. No alias may begin with a prefix, or occur twice. Default: none.
 */
export interface Table24 {
  [k: string]: string;
}
/**
 * How the gateway authenticates to this server. `per_user` is not possible here. Default: the gateway does not authenticate.
 */
export interface OriginCredentialDocument1 {
  client_credentials?: ClientCredentialsDocument;
  enterprise?: EnterpriseDocument;
  per_user?: PerUserDocument;
  /**
   * Fields from Worker secrets, at most 8. Every caller of the resource acts with the rights of this one credential.
   */
  static?: StaticFieldDocument[];
  token_exchange?: TokenExchangeDocument;
}
/**
 * Descriptions of tools that clients see in place of the server's own, by the server's name of the tool, 1 to 1024 characters
 * each: long ones cost every model that reads them. Default: none.
 */
export interface Table25 {
  [k: string]: string;
}
/**
 * The same for prompts. Default: none.
 */
export interface Table26 {
  [k: string]: string;
}
/**
 * The gateway's own list of revoked credentials. Default: none.
 */
export interface RevocationTable {
  /**
   * The key of the document. The document must exist: without it the gateway rejects every request that has a valid
   * credential. Default: `revocations`.
   */
  key?: string;
  /**
   * The name of the KV binding.
   */
  kv: string;
  /**
   * Seconds within which a change takes effect after KV has it, 60 to 3600. KV itself may serve an old document for
   * 30 of these seconds. If the gateway cannot read the document for so long, it answers 503 to every request that
   * has a valid credential. Default: 60.
   */
  seconds?: number;
}
/**
 * Which other scopes a scope includes: with `"files:write" = ["files:read"]`, a token with `files:write` may do
 * what requires `files:read`. Inclusion is transitive. Independently of this table, `files:*` includes every scope
 * that begins with `files:`. Default: empty.
 */
export interface Table6 {
  [k: string]: string[];
}
/**
 * How the gateway binds sessions of the legacy era, task ids, `requestState` and the URIs of Apps to their callers. The
 * gateway then reads every message, so `body_bytes` may be at most 8388608. Without this table these ids pass as origin
 * servers issue them, and the log says so once at start.
 */
export interface SessionsDocument {
  /**
   * Seconds after which a session, a task id and a `requestState` end, whatever the origin server says, 60 to 2592000. Default: 86400.
   */
  seconds?: number;
  /**
   * Names of 1 to 4 Worker secrets, each of 32 characters or more. Before a client sees such an id, the gateway
   * seals it with the first secret, for one issuer, subject, client and resource. It opens ids that were sealed with
   * any of the secrets. To change a secret, put the new one first, and remove the old one when its sessions have
   * ended.
   */
  secrets: string[];
}
/**
 * Says where in KV the whole document is. This table must then be alone in the variable, and the document in KV
 * must not have it. Default: the document is in the variable.
 */
export interface StoredDocument {
  /**
   * The key of the document, which is JSON of at most 1 MiB. Default: `portcullis`.
   */
  key?: string;
  /**
   * The name of the KV binding. Any party that can write to this namespace decides who gets access.
   */
  kv: string;
  /**
   * Seconds within which a change takes effect after KV has it, 60 to 3600. KV itself may serve an old document for
   * 30 of these seconds. A document with a mistake changes nothing, and the log says so. Default: 60.
   */
  seconds?: number;
}
/**
 * A Worker of yours that verifies credentials. `docs/custom-verifier.md` has the contract.
 */
export interface VerifierDocument {
  /**
   * Seconds for which the gateway uses a positive answer again at most, 0 to 3600; never after `exp`. Default: 0.
   */
  cache_seconds?: number;
  /**
   * The verifier is compiled into the gateway: an implementation of `TokenVerifier` with this name. Excludes
   * `service`. Default: `false`.
   */
  compiled?: boolean;
  /**
   * The name of this verifier in `verifiers` of resources and in logs: 1 to 64 letters, digits, `-`, `_`, `.`.
   */
  name: string;
  /**
   * Seconds for which the gateway uses a negative answer again, 0 to 300. Default: 0.
   */
  negative_cache_seconds?: number;
  /**
   * The name of the service binding of your Worker. Required unless `compiled` is `true`.
   */
  service?: string;
  /**
   * Seconds within which the verifier must answer, 1 to 30; otherwise the gateway answers 503. Default: 5.
   */
  timeout_seconds?: number;
  /**
   * How credentials for this verifier begin. Default: the verifier gets every credential that nothing else of the
   * resource accepts; `docs/custom-verifier.md` has the exceptions.
   */
  token_prefix?: string;
}

/** What the gateway sends a custom verifier behind a service binding. */
export interface VerifierRequest {
  version: 1;
  /** The credential, as the caller sent it. */
  token: string;
  /** The resource identifier. */
  resource: string;
}

/** What a custom verifier answers, with the members of RFC 7662 §2.2. */
export type VerifierAnswer =
  | { active: false }
  | ({
      active: true;
      scope?: string;
      iss?: string;
      aud?: string | string[];
      /** Seconds since 1970. */
      exp?: number;
      nbf?: number;
      iat?: number;
      jti?: string;
      /** What the credential is bound to (RFC 7800). */
      cnf?: { jkt?: string; "x5t#S256"?: string };
      token_type?: string;
      /** Shown in the log. */
      label?: string;
      [claim: string]: unknown;
    } & ({ sub: string; client_id?: string } | { client_id: string }));

/** A decision of the rules, as a file of examples expects it. */
export type ExpectedDecision = "allow" | "deny" | "login" | `step_up ${string}`;

/** Who calls, in a file of examples. */
export interface PolicyCaller {
  /** The claims of the token. */
  claims?: Record<string, unknown>;
  /** There are no credentials. */
  anonymous?: boolean;
  /** Scopes in addition to those of the claims, separated by spaces. */
  scopes?: string;
  /** The name of the issuer, the verifier or the prefix of the API key. */
  issuer?: string;
  /** ISO 3166-1 alpha-2. */
  country?: string;
  /** The number of the autonomous system. */
  asn?: number;
  /** Whether the caller presents a client certificate. */
  mtls?: boolean;
}

/** A request, in a file of examples. */
export interface PolicyRequest {
  /** The JSON-RPC method; without it, the one that uses the tool, the prompt or the MCP resource. */
  method?: string;
  tool?: string;
  prompt?: string;
  uri?: string;
  arguments?: Record<string, unknown>;
}

/** A file of examples for `portcullis test`. */
export interface PolicyExamples {
  /** The path of the resource; without it, the first one with rules. */
  resource?: string;
  /** Callers by name. */
  callers: Record<string, PolicyCaller>;
  /** Requests by name. */
  requests: Record<string, PolicyRequest>;
  /** The expected decisions, by caller and request. */
  decisions: Record<string, Record<string, ExpectedDecision>>;
  $schema?: string;
}
