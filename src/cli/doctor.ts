import { connectionSettings, doorSettings } from "../data/connection-settings.ts";
import { checkIsolation } from "../data/isolation-check.ts";
import { createSystemDoor } from "../data/system-door.ts";
import { databaseUrl, type Environment } from "./environment.ts";

/** `bulkhead doctor`: exit status 1 where there is any finding. */
export async function doctor(options: {
  readonly json: boolean;
  readonly env: Environment;
}): Promise<number> {
  const system = createSystemDoor(
    doorSettings(connectionSettings(databaseUrl(options.env)), "bulkhead_system"),
    { connections: 1 },
  );
  try {
    const findings = await checkIsolation(system);
    if (options.json) process.stdout.write(`${JSON.stringify({ event: "doctor", findings })}\n`);
    else if (findings.length === 0) process.stdout.write("No findings: the database enforces isolation.\n");
    else
      for (const { rule, object, remedy } of findings)
        process.stdout.write(`${rule}: ${object}\n  remedy: ${remedy}\n`);
    return findings.length > 0 ? 1 : 0;
  } finally {
    await system.close();
  }
}
