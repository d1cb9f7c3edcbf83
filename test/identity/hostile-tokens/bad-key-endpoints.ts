import type { IncomingMessage, ServerResponse } from "node:http";

/** Key endpoints that misbehave, each at the path that ends in its issuer's name, and `readable`, which does not. */
export function answerBadly(of: {
  /** A key set that is all right, elsewhere. */
  readonly keySet: string;
  /** Its JSON. */
  readonly text: string;
}): (req: IncomingMessage, res: ServerResponse) => void {
  return (req, res) => {
    switch (req.url?.split("/").at(-1)) {
      case "readable":
        res.writeHead(200, { "content-type": "application/json" }).end(of.text);
        return;
      case "slow":
        // Never answers.
        return;
      case "huge":
        res.end(`{"keys":[],"padding":"${"x".repeat(300_000)}"}`);
        return;
      case "endless": {
        res.writeHead(200, { "content-type": "application/json" }).write('{"keys":[');
        const more = (): void => {
          if (!res.destroyed) res.write("1,".repeat(20_000), more);
        };
        more();
        return;
      }
      case "redirecting":
        res.writeHead(302, { location: of.keySet }).end();
        return;
      case "failing":
        res.writeHead(500).end("oops");
        return;
      case "text":
        res.end("<html>sign in</html>");
        return;
      case "list":
        res.end("[]");
        return;
      default:
        req.socket.destroy();
    }
  };
}
