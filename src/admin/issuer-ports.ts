/** What registering an issuer needs beside the configuration's keeper. */
export interface IssuerPorts {
  /** Development: an identity provider may be on this machine, and without TLS. */
  readonly allowLoopback: boolean;
  /** Reads an issuer's metadata; or says, with no value of theirs but the issuer that they name, why they do not tell where its keys are. */
  discoverIssuer(issuer: string): Promise<{ readonly jwksUri: string } | string>;
  /**
   * Makes a secret unreadable but for this deployment, and for the same `context`. Null where the deployment has no key
   * for it.
   */
  sealSecret(text: string, context: string): Uint8Array | null;
}
