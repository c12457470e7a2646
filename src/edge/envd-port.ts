/** The port that the server itself answers: envd, the sandbox's API. */
export const envdPort = 49_983
