/** Whether a request has a body, by its headers (RFC 9112, section 6.3). */
export function hasBody(header: (name: string) => string | undefined): boolean {
  return header("transfer-encoding") !== undefined || Number(header("content-length") ?? 0) > 0;
}
