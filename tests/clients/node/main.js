// All the npm SDKs, one after the other.

import { run } from "./suite.js";
import "./openai-client.js";
import "./anthropic-client.js";
import "./ai-client.js";

process.exitCode = (await run()) > 0 ? 1 : 0;
