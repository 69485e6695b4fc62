import { randomUUID } from "node:crypto";
import { authorizeHeadlessly } from "../token.mjs";

/** The part of an application in the OAuth flow of the TypeScript SDKs (both generations), kept in memory. */
export class MemoryOAuthProvider {
  redirectUrl = "http://127.0.0.1:8976/callback";
  clientMetadata = {
    client_name: "Portcullis test client",
    application_type: "native",
    redirect_uris: [this.redirectUrl],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  };

  /** `clientMetadataUrl` is the id of a client whose id is the URL of its metadata. */
  constructor(clientMetadataUrl) {
    this.clientMetadataUrl = clientMetadataUrl;
  }

  #state = randomUUID();
  #client;
  #tokens;
  #verifier;
  #authorizationUrl;
  #discovery;

  state = () => this.#state;
  clientInformation = () => this.#client;
  saveClientInformation = (client) => {
    this.#client = client;
  };
  tokens = () => this.#tokens;
  saveTokens = (tokens) => {
    this.#tokens = tokens;
  };
  codeVerifier = () => this.#verifier;
  saveCodeVerifier = (verifier) => {
    this.#verifier = verifier;
  };
  // Binds the answer of the browser to the authorization server that was asked (SEP-2352).
  discoveryState = () => this.#discovery;
  saveDiscoveryState = (discovery) => {
    this.#discovery = discovery;
  };
  redirectToAuthorization = (url) => {
    this.#authorizationUrl = url;
  };

  /** What the browser would bring back: the parameters at the redirect URI. */
  async authorize() {
    if (!this.#authorizationUrl) throw new Error("the client did not ask for authorization");
    const { searchParams } = await authorizeHeadlessly(this.#authorizationUrl);
    if (searchParams.get("state") !== this.#state) throw new Error("the state did not come back");
    return searchParams;
  }
}
