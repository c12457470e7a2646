// Generated from spec/openapi.yml by `npm run gen`. Do not edit.
export const openapi = {
  "openapi": "3.1.0",
  "info": {
    "title": "e2b-server",
    "version": "0.1.0"
  },
  "security": [
    {
      "ApiKey": []
    },
    {
      "BearerApiKey": []
    },
    {
      "AdminToken": [],
      "TeamId": []
    }
  ],
  "paths": {
    "/": {
      "get": {
        "summary": "What this is, for a person who opens the address",
        "security": [],
        "responses": {
          "200": {
            "description": "HTML for browsers, text for everything else"
          }
        }
      }
    },
    "/health": {
      "get": {
        "security": [],
        "responses": {
          "200": {
            "description": "The server takes requests"
          }
        }
      }
    },
    "/metrics": {
      "get": {
        "summary": "What the server measures of itself, as Prometheus reads it (this server's own)",
        "security": [
          {
            "AdminToken": []
          }
        ],
        "responses": {
          "200": {
            "description": "docs/metrics.md has the names. The token may be a bearer token",
            "content": {
              "text/plain": {
                "schema": {
                  "type": "string"
                }
              }
            }
          }
        }
      }
    },
    "/sandboxes": {
      "post": {
        "summary": "Create a sandbox (first generation)",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/NewSandbox"
              }
            }
          }
        },
        "responses": {
          "201": {
            "description": "It runs",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/Sandbox"
                }
              }
            }
          }
        }
      },
      "get": {
        "summary": "List running sandboxes (first generation)",
        "x-query-schema": {
          "$ref": "#/components/schemas/ListRunningQuery"
        },
        "responses": {
          "200": {
            "description": "All of them",
            "content": {
              "application/json": {
                "schema": {
                  "type": "array",
                  "items": {
                    "$ref": "#/components/schemas/ListedSandbox"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/v2/sandboxes": {
      "post": {
        "summary": "Create a sandbox",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/NewSandboxV2"
              }
            }
          }
        },
        "responses": {
          "201": {
            "description": "It runs",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/Sandbox"
                }
              }
            }
          }
        }
      },
      "get": {
        "summary": "List sandboxes, a page at a time",
        "x-query-schema": {
          "$ref": "#/components/schemas/ListQuery"
        },
        "responses": {
          "200": {
            "description": "Header `X-Next-Token` only when there is another page, `X-Total-Running` only where running ones are asked for",
            "content": {
              "application/json": {
                "schema": {
                  "type": "array",
                  "items": {
                    "$ref": "#/components/schemas/ListedSandbox"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/sandboxes/{sandboxID}": {
      "get": {
        "summary": "Details of a sandbox",
        "responses": {
          "200": {
            "description": "Found",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/SandboxDetail"
                }
              }
            }
          }
        }
      },
      "delete": {
        "summary": "Kill a sandbox",
        "responses": {
          "204": {
            "description": "Gone"
          }
        }
      }
    },
    "/sandboxes/{sandboxID}/connect": {
      "post": {
        "summary": "Reach a sandbox (first generation)",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/ConnectSandbox"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "It runs",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/Sandbox"
                }
              }
            }
          }
        }
      }
    },
    "/v2/sandboxes/{sandboxID}/connect": {
      "post": {
        "summary": "Reach a sandbox",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/ConnectSandboxV2"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "It runs",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/Sandbox"
                }
              }
            }
          }
        }
      }
    },
    "/sandboxes/{sandboxID}/timeout": {
      "post": {
        "summary": "Move the deadline",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/SandboxTimeout"
              }
            }
          }
        },
        "responses": {
          "204": {
            "description": "Moved"
          }
        }
      }
    },
    "/sandboxes/{sandboxID}/refreshes": {
      "post": {
        "summary": "Move the deadline later, never earlier",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/RefreshSandbox"
              }
            }
          }
        },
        "responses": {
          "204": {
            "description": "It is at least that late"
          }
        }
      }
    },
    "/sandboxes/{sandboxID}/resume": {
      "post": {
        "summary": "Resume a paused sandbox (older clients)",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/ResumeSandbox"
              }
            }
          }
        },
        "responses": {
          "201": {
            "description": "It runs",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/Sandbox"
                }
              }
            }
          },
          "409": {
            "description": "It ran already"
          }
        }
      }
    },
    "/sandboxes/{sandboxID}/pause": {
      "post": {
        "summary": "Pause a sandbox, with its memory or its files alone",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/PauseSandbox"
              }
            }
          }
        },
        "responses": {
          "204": {
            "description": "It is paused"
          },
          "409": {
            "description": "It was paused already"
          }
        }
      }
    },
    "/sandboxes/{sandboxID}/network": {
      "put": {
        "summary": "Replace what a sandbox may reach",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/NetworkUpdate"
              }
            }
          }
        },
        "responses": {
          "204": {
            "description": "Replaced"
          }
        }
      }
    },
    "/sandboxes/{sandboxID}/snapshots": {
      "post": {
        "summary": "Keep a copy of a sandbox",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/SnapshotSandbox"
              }
            }
          }
        },
        "responses": {
          "201": {
            "description": "Kept",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/Snapshot"
                }
              }
            }
          }
        }
      }
    },
    "/sandboxes/{sandboxID}/fork": {
      "post": {
        "summary": "Start sandboxes from a copy of a running one",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/ForkSandbox"
              }
            }
          }
        },
        "responses": {
          "201": {
            "description": "One result for each",
            "content": {
              "application/json": {
                "schema": {
                  "type": "array",
                  "items": {
                    "$ref": "#/components/schemas/ForkResult"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/sandboxes/{sandboxID}/metrics": {
      "get": {
        "summary": "What a sandbox used between two times",
        "x-query-schema": {
          "$ref": "#/components/schemas/MetricsQuery"
        },
        "responses": {
          "200": {
            "description": "Oldest first"
          }
        }
      }
    },
    "/sandboxes/metrics": {
      "get": {
        "summary": "The newest figures of several sandboxes",
        "x-query-schema": {
          "$ref": "#/components/schemas/BatchMetricsQuery"
        },
        "responses": {
          "200": {
            "description": "By id"
          }
        }
      }
    },
    "/sandboxes/{sandboxID}/logs": {
      "get": {
        "summary": "What a sandbox's processes did and said (first generation)",
        "x-query-schema": {
          "$ref": "#/components/schemas/LogsQueryV1"
        },
        "responses": {
          "200": {
            "description": "Oldest first; each line is JSON in text"
          }
        }
      }
    },
    "/v2/sandboxes/{sandboxID}/logs": {
      "get": {
        "summary": "What a sandbox's processes did and said",
        "x-query-schema": {
          "$ref": "#/components/schemas/LogsQuery"
        },
        "responses": {
          "200": {
            "description": "In the direction that was asked for"
          }
        }
      }
    },
    "/events/sandboxes": {
      "get": {
        "summary": "What happened to the team's sandboxes",
        "x-query-schema": {
          "$ref": "#/components/schemas/EventsQuery"
        },
        "responses": {
          "200": {
            "description": "Newest first unless asked otherwise"
          }
        }
      }
    },
    "/events/sandboxes/{sandboxID}": {
      "get": {
        "summary": "What happened to a sandbox",
        "x-query-schema": {
          "$ref": "#/components/schemas/EventsQuery"
        },
        "responses": {
          "200": {
            "description": "Newest first unless asked otherwise"
          }
        }
      }
    },
    "/events/webhooks": {
      "get": {
        "summary": "List the team's webhooks",
        "responses": {
          "200": {
            "description": "Without their secrets"
          }
        }
      },
      "post": {
        "summary": "Make a webhook",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/NewWebhook"
              }
            }
          }
        },
        "responses": {
          "201": {
            "description": "It is told of what happens from now on"
          }
        }
      }
    },
    "/events/webhooks/{webhookID}": {
      "get": {
        "summary": "A webhook",
        "responses": {
          "200": {
            "description": "Without its secret"
          }
        }
      },
      "patch": {
        "summary": "Change a webhook",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/WebhookUpdate"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "As it is now"
          }
        }
      },
      "delete": {
        "summary": "Delete a webhook",
        "responses": {
          "200": {
            "description": "It is told of nothing more"
          }
        }
      }
    },
    "/snapshots": {
      "get": {
        "summary": "List snapshots, a page at a time",
        "x-query-schema": {
          "$ref": "#/components/schemas/ListSnapshotsQuery"
        },
        "responses": {
          "200": {
            "description": "Header `X-Next-Token` only when there is another page",
            "content": {
              "application/json": {
                "schema": {
                  "type": "array",
                  "items": {
                    "$ref": "#/components/schemas/Snapshot"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/templates": {
      "get": {
        "summary": "List the team's templates (first generation)",
        "x-query-schema": {
          "$ref": "#/components/schemas/ListAllTemplatesQuery"
        },
        "responses": {
          "200": {
            "description": "All of them, newest first",
            "content": {
              "application/json": {
                "schema": {
                  "type": "array",
                  "items": {
                    "$ref": "#/components/schemas/Template"
                  }
                }
              }
            }
          }
        }
      },
      "post": {
        "summary": "Make a build of a Dockerfile, which waits for its start (first generation)",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/TemplateBuildRequest"
              }
            }
          }
        },
        "responses": {
          "202": {
            "description": "It waits",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/TemplateLegacy"
                }
              }
            }
          },
          "400": {
            "description": "The Dockerfile can't be built, or needs files of its folder"
          },
          "409": {
            "description": "One of that template runs"
          }
        }
      }
    },
    "/v2/templates": {
      "get": {
        "summary": "List the team's templates, a page at a time",
        "x-query-schema": {
          "$ref": "#/components/schemas/ListTemplatesQuery"
        },
        "responses": {
          "200": {
            "description": "Header `X-Next-Token` only when there is another page",
            "content": {
              "application/json": {
                "schema": {
                  "type": "array",
                  "items": {
                    "$ref": "#/components/schemas/Template"
                  }
                }
              }
            }
          }
        }
      },
      "post": {
        "summary": "Make a build that waits for its files and its start (second generation)",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/NewTemplateV2"
              }
            }
          }
        },
        "responses": {
          "202": {
            "description": "It waits",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/TemplateLegacy"
                }
              }
            }
          }
        }
      }
    },
    "/v3/templates": {
      "post": {
        "summary": "Make a build that waits for its files and its start",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/NewTemplate"
              }
            }
          }
        },
        "responses": {
          "202": {
            "description": "It waits",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/CreatedTemplate"
                }
              }
            }
          },
          "409": {
            "description": "One with such a tag runs"
          }
        }
      }
    },
    "/templates/{templateID}": {
      "get": {
        "summary": "A template with a page of its builds",
        "x-query-schema": {
          "$ref": "#/components/schemas/PageQuery"
        },
        "responses": {
          "200": {
            "description": "Header `X-Next-Token` only when there is another page",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/TemplateWithBuilds"
                }
              }
            }
          }
        }
      },
      "post": {
        "summary": "Make another build of a template, which has the name `alias` from then on (first generation)",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/TemplateBuildRequest"
              }
            }
          }
        },
        "responses": {
          "202": {
            "description": "It waits",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/TemplateLegacy"
                }
              }
            }
          },
          "400": {
            "description": "The Dockerfile can't be built, or needs files of its folder"
          },
          "409": {
            "description": "One of that template runs, or another template has the name"
          }
        }
      },
      "delete": {
        "summary": "Delete a template or a snapshot",
        "responses": {
          "204": {
            "description": "Gone"
          },
          "400": {
            "description": "Sandboxes are made of it"
          }
        }
      },
      "patch": {
        "summary": "Publish a template, or take it back (first generation)",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/TemplateUpdate"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "Updated"
          }
        }
      }
    },
    "/v2/templates/{templateID}": {
      "patch": {
        "summary": "Publish a template, or take it back",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/TemplateUpdate"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "Updated",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/TemplateNames"
                }
              }
            }
          }
        }
      }
    },
    "/templates/{templateID}/files/{hash}": {
      "get": {
        "summary": "Whether the files of a COPY step are here, and where to upload them",
        "responses": {
          "201": {
            "description": "The link is for one upload",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/TemplateFiles"
                }
              }
            }
          }
        }
      }
    },
    "/template-files/{link}": {
      "put": {
        "summary": "Upload the files of a COPY step, as a tar archive, compressed or not",
        "security": [],
        "requestBody": {
          "content": {
            "application/octet-stream": {
              "schema": {
                "type": "string",
                "format": "binary"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "They are here"
          },
          "403": {
            "description": "There is no such link, or it was used, or is too old"
          },
          "411": {
            "description": "No Content-Length"
          },
          "413": {
            "description": "Too large"
          }
        }
      }
    },
    "/templates/{templateID}/builds/{buildID}": {
      "post": {
        "summary": "Start a build that has a Dockerfile (first generation)",
        "responses": {
          "202": {
            "description": "It runs"
          },
          "409": {
            "description": "It doesn't wait, or another with one of its tags runs"
          }
        }
      }
    },
    "/v2/templates/{templateID}/builds/{buildID}": {
      "post": {
        "summary": "Start a build",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/StartBuild"
              }
            }
          }
        },
        "responses": {
          "202": {
            "description": "It runs"
          },
          "409": {
            "description": "It doesn't wait, or another with one of its tags runs"
          }
        }
      }
    },
    "/templates/{templateID}/builds/{buildID}/status": {
      "get": {
        "summary": "How far a build is, and what it has said since",
        "x-query-schema": {
          "$ref": "#/components/schemas/BuildStatusQuery"
        },
        "responses": {
          "200": {
            "description": "No entries for offsets behind the last one",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/TemplateBuildInfo"
                }
              }
            }
          }
        }
      }
    },
    "/templates/{templateID}/builds/{buildID}/logs": {
      "get": {
        "summary": "What a build said",
        "x-query-schema": {
          "$ref": "#/components/schemas/BuildLogsQuery"
        },
        "responses": {
          "200": {
            "description": "In the direction that was asked for",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/TemplateBuildLogs"
                }
              }
            }
          }
        }
      }
    },
    "/templates/aliases/{alias}": {
      "get": {
        "summary": "What a name means",
        "responses": {
          "200": {
            "description": "Taken by what the team may use",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/TemplateAlias"
                }
              }
            }
          },
          "403": {
            "description": "Taken by another team"
          },
          "404": {
            "description": "Free"
          }
        }
      }
    },
    "/templates/tags": {
      "post": {
        "summary": "Give tags to a build that is ready",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/AssignTags"
              }
            }
          }
        },
        "responses": {
          "201": {
            "description": "They stand for it from now on",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/AssignedTags"
                }
              }
            }
          }
        }
      },
      "delete": {
        "summary": "Take tags away",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/RemoveTags"
              }
            }
          }
        },
        "responses": {
          "204": {
            "description": "They are not there any more"
          }
        }
      }
    },
    "/templates/{templateID}/tags": {
      "get": {
        "summary": "The tags of a template or snapshot",
        "responses": {
          "200": {
            "description": "Newest first",
            "content": {
              "application/json": {
                "schema": {
                  "type": "array",
                  "items": {
                    "$ref": "#/components/schemas/TemplateTag"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/teams": {
      "get": {
        "summary": "The team of an API key, or all teams for the operator",
        "security": [
          {
            "ApiKey": []
          },
          {
            "BearerApiKey": []
          },
          {
            "AdminToken": []
          }
        ],
        "responses": {
          "200": {
            "description": "One or all",
            "content": {
              "application/json": {
                "schema": {
                  "type": "array",
                  "items": {
                    "$ref": "#/components/schemas/Team"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/teams/{teamID}/metrics": {
      "get": {
        "summary": "A team's figures over time",
        "x-query-schema": {
          "$ref": "#/components/schemas/TeamMetricsQuery"
        },
        "responses": {
          "200": {
            "description": "Oldest first",
            "content": {
              "application/json": {
                "schema": {
                  "type": "array",
                  "items": {
                    "$ref": "#/components/schemas/TeamMetric"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/teams/{teamID}/metrics/max": {
      "get": {
        "summary": "The largest of a team's figures",
        "x-query-schema": {
          "$ref": "#/components/schemas/MaxTeamMetricQuery"
        },
        "responses": {
          "200": {
            "description": "The newest of equals",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/MaxTeamMetric"
                }
              }
            }
          }
        }
      }
    },
    "/api-keys": {
      "get": {
        "summary": "The team's keys, masked",
        "responses": {
          "200": {
            "description": "Oldest first",
            "content": {
              "application/json": {
                "schema": {
                  "type": "array",
                  "items": {
                    "$ref": "#/components/schemas/ApiKey"
                  }
                }
              }
            }
          }
        }
      },
      "post": {
        "summary": "Make a key",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/ApiKeyName"
              }
            }
          }
        },
        "responses": {
          "201": {
            "description": "The one time that the key is shown",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/CreatedApiKey"
                }
              }
            }
          }
        }
      }
    },
    "/api-keys/{apiKeyID}": {
      "patch": {
        "summary": "Rename a key",
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/ApiKeyName"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "Renamed"
          }
        }
      },
      "delete": {
        "summary": "Delete a key",
        "responses": {
          "204": {
            "description": "Requests with it are refused from now on"
          }
        }
      }
    },
    "/access-tokens": {
      "post": {
        "summary": "Ended by E2B",
        "security": [],
        "responses": {
          "410": {
            "description": "There are no access tokens"
          }
        }
      }
    },
    "/access-tokens/{accessTokenID}": {
      "delete": {
        "summary": "Delete an access token",
        "security": [],
        "responses": {
          "404": {
            "description": "There are none"
          }
        }
      }
    },
    "/nodes": {
      "get": {
        "summary": "The machines that run sandboxes",
        "security": [
          {
            "AdminToken": []
          }
        ],
        "responses": {
          "200": {
            "description": "This server's one",
            "content": {
              "application/json": {
                "schema": {
                  "type": "array",
                  "items": {
                    "$ref": "#/components/schemas/Node"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/nodes/{nodeID}": {
      "get": {
        "summary": "One machine",
        "security": [
          {
            "AdminToken": []
          }
        ],
        "responses": {
          "200": {
            "description": "Found",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/NodeDetail"
                }
              }
            }
          }
        }
      },
      "post": {
        "summary": "Let a machine take new sandboxes, or no more",
        "security": [
          {
            "AdminToken": []
          }
        ],
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/NodeStatus"
              }
            }
          }
        },
        "responses": {
          "204": {
            "description": "Holds over restarts"
          }
        }
      }
    },
    "/admin/teams/{teamID}/sandboxes/kill": {
      "post": {
        "summary": "Kill the sandboxes of a team that run",
        "security": [
          {
            "AdminToken": []
          }
        ],
        "responses": {
          "200": {
            "description": "How many",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/KillCounts"
                }
              }
            }
          }
        }
      }
    },
    "/admin/sandboxes/running-counts": {
      "get": {
        "summary": "Running sandboxes by team",
        "security": [
          {
            "AdminToken": []
          }
        ],
        "responses": {
          "200": {
            "description": "By team id; teams where none runs are left out",
            "content": {
              "application/json": {
                "schema": {
                  "type": "object",
                  "additionalProperties": {
                    "type": "integer"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/admin/teams/{teamID}/builds/cancel": {
      "post": {
        "summary": "End the builds of a team that wait or run",
        "security": [
          {
            "AdminToken": []
          }
        ],
        "responses": {
          "200": {
            "description": "How many",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/CancelCounts"
                }
              }
            }
          }
        }
      }
    },
    "/admin/templates/gc": {
      "post": {
        "summary": "Free what builds have left and nobody uses (this server's own)",
        "security": [
          {
            "AdminToken": []
          }
        ],
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/CollectGarbage"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "What was freed",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/Collected"
                }
              }
            }
          }
        }
      }
    },
    "/admin/stock-templates": {
      "get": {
        "summary": "The templates that are made by recipes of the server or its operator (this server's own)",
        "security": [
          {
            "AdminToken": []
          }
        ],
        "responses": {
          "200": {
            "description": "With how far they are",
            "content": {
              "application/json": {
                "schema": {
                  "type": "array",
                  "items": {
                    "$ref": "#/components/schemas/StockTemplate"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/admin/stock-templates/{name}": {
      "delete": {
        "summary": "Remove what was built of one; the next who asks for it has it built again (this server's own)",
        "security": [
          {
            "AdminToken": []
          }
        ],
        "responses": {
          "204": {
            "description": "Gone"
          }
        }
      }
    },
    "/admin/stock-templates/{name}/builds": {
      "post": {
        "summary": "Build one, unless it is built already (this server's own)",
        "security": [
          {
            "AdminToken": []
          }
        ],
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/BuildStock"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The build that runs, or the one that is there",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/StockBuild"
                }
              }
            }
          }
        }
      }
    },
    "/admin/stock-templates/{name}/builds/{buildID}/status": {
      "get": {
        "summary": "How far one of its builds is (this server's own)",
        "security": [
          {
            "AdminToken": []
          }
        ],
        "x-query-schema": {
          "$ref": "#/components/schemas/BuildStatusQuery"
        },
        "responses": {
          "200": {
            "description": "With what it said since",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/TemplateBuildInfo"
                }
              }
            }
          }
        }
      }
    },
    "/admin/teams/{teamID}/api-keys": {
      "post": {
        "summary": "Make a key for a team",
        "security": [
          {
            "AdminToken": []
          }
        ],
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/ApiKeyName"
              }
            }
          }
        },
        "responses": {
          "201": {
            "description": "The one time that the key is shown",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/CreatedApiKey"
                }
              }
            }
          }
        }
      }
    },
    "/admin/teams/{teamID}/api-keys/{apiKeyID}": {
      "delete": {
        "summary": "Delete a team's key",
        "security": [
          {
            "AdminToken": []
          }
        ],
        "responses": {
          "204": {
            "description": "Requests with it are refused from now on"
          }
        }
      }
    },
    "/volumes": {
      "get": {
        "x-unimplemented": true
      },
      "post": {
        "x-unimplemented": true
      }
    },
    "/volumes/{volumeID}": {
      "get": {
        "x-unimplemented": true
      },
      "delete": {
        "x-unimplemented": true
      }
    },
    "/volumecontent/{volumeID}/path": {
      "get": {
        "x-unimplemented": true
      },
      "patch": {
        "x-unimplemented": true
      },
      "delete": {
        "x-unimplemented": true
      }
    },
    "/volumecontent/{volumeID}/dir": {
      "get": {
        "x-unimplemented": true
      },
      "post": {
        "x-unimplemented": true
      }
    },
    "/volumecontent/{volumeID}/file": {
      "get": {
        "x-unimplemented": true
      },
      "put": {
        "x-unimplemented": true
      }
    },
    "/secrets": {
      "get": {
        "x-unimplemented": true
      },
      "post": {
        "x-unimplemented": true
      }
    },
    "/secrets/{secretID}": {
      "get": {
        "x-unimplemented": true
      },
      "post": {
        "x-unimplemented": true
      },
      "delete": {
        "x-unimplemented": true
      }
    }
  },
  "components": {
    "securitySchemes": {
      "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-KEY"
      },
      "BearerApiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key; counts where there is no X-API-KEY"
      },
      "AdminToken": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Admin-Token"
      },
      "TeamId": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Team-ID"
      }
    },
    "schemas": {
      "Error": {
        "type": "object",
        "required": [
          "code",
          "message"
        ],
        "properties": {
          "code": {
            "type": "integer",
            "description": "The HTTP status"
          },
          "message": {
            "type": "string"
          },
          "error_code": {
            "type": "string",
            "description": "What failed, where E2B has a name for it"
          }
        }
      },
      "NewSandbox": {
        "type": "object",
        "required": [
          "templateID"
        ],
        "properties": {
          "templateID": {
            "type": "string",
            "minLength": 1,
            "maxLength": 512
          },
          "timeout": {
            "type": "integer",
            "default": 15,
            "minimum": 0,
            "maximum": 2147483647
          },
          "secure": {
            "type": "boolean",
            "default": false
          },
          "metadata": {
            "$ref": "#/components/schemas/Metadata"
          },
          "envVars": {
            "$ref": "#/components/schemas/EnvVars"
          },
          "allow_internet_access": {
            "type": [
              "boolean",
              "null"
            ]
          },
          "autoPause": {
            "type": "boolean",
            "default": false
          },
          "autoPauseMemory": {
            "type": "boolean",
            "default": true
          },
          "autoResume": {
            "$ref": "#/components/schemas/AutoResume"
          },
          "network": {
            "$ref": "#/components/schemas/Network"
          },
          "volumeMounts": {
            "$ref": "#/components/schemas/VolumeMounts"
          },
          "mcp": {
            "type": [
              "object",
              "null"
            ]
          },
          "iam": {
            "type": [
              "object",
              "null"
            ]
          }
        }
      },
      "NewSandboxV2": {
        "type": "object",
        "required": [
          "templateID"
        ],
        "properties": {
          "templateID": {
            "type": "string",
            "minLength": 1,
            "maxLength": 512
          },
          "timeout": {
            "type": "integer",
            "default": 300,
            "minimum": 0,
            "maximum": 2147483647
          },
          "metadata": {
            "$ref": "#/components/schemas/Metadata"
          },
          "envVars": {
            "$ref": "#/components/schemas/EnvVars"
          },
          "allow_internet_access": {
            "type": [
              "boolean",
              "null"
            ]
          },
          "autoPause": {
            "type": "boolean",
            "default": false
          },
          "autoPauseMemory": {
            "type": "boolean",
            "default": true
          },
          "autoResume": {
            "$ref": "#/components/schemas/AutoResume"
          },
          "network": {
            "$ref": "#/components/schemas/Network"
          },
          "volumeMounts": {
            "$ref": "#/components/schemas/VolumeMounts"
          },
          "mcp": {
            "type": [
              "object",
              "null"
            ]
          },
          "iam": {
            "type": [
              "object",
              "null"
            ]
          }
        }
      },
      "Metadata": {
        "type": "object",
        "maxProperties": 256,
        "additionalProperties": {
          "type": "string",
          "maxLength": 16384
        }
      },
      "EnvVars": {
        "type": "object",
        "maxProperties": 1024,
        "propertyNames": {
          "minLength": 1,
          "maxLength": 1024,
          "pattern": "^[^=\\x00]+$"
        },
        "additionalProperties": {
          "type": "string",
          "maxLength": 131072,
          "pattern": "^[^\\x00]*$"
        }
      },
      "AutoResume": {
        "type": [
          "object",
          "null"
        ],
        "required": [
          "enabled"
        ],
        "properties": {
          "enabled": {
            "type": "boolean"
          }
        }
      },
      "VolumeMounts": {
        "type": [
          "array",
          "null"
        ],
        "maxItems": 64,
        "items": {
          "type": "object",
          "required": [
            "name",
            "path"
          ],
          "properties": {
            "name": {
              "type": "string",
              "maxLength": 256
            },
            "path": {
              "type": "string",
              "maxLength": 4096
            }
          }
        }
      },
      "Network": {
        "type": [
          "object",
          "null"
        ],
        "properties": {
          "allowPublicTraffic": {
            "type": [
              "boolean",
              "null"
            ]
          },
          "allowOut": {
            "type": [
              "array",
              "null"
            ],
            "maxItems": 1000,
            "items": {
              "type": "string",
              "maxLength": 256
            }
          },
          "denyOut": {
            "type": [
              "array",
              "null"
            ],
            "maxItems": 1000,
            "items": {
              "type": "string",
              "maxLength": 256
            }
          },
          "maskRequestHost": {
            "type": [
              "string",
              "null"
            ],
            "maxLength": 512
          },
          "egressProxy": {
            "type": [
              "object",
              "null"
            ]
          },
          "rules": {
            "$ref": "#/components/schemas/NetworkRules"
          },
          "httpsPorts": {
            "type": [
              "array",
              "null"
            ],
            "maxItems": 1000,
            "items": {
              "type": "integer",
              "minimum": 1,
              "maximum": 65535
            }
          }
        }
      },
      "NetworkRules": {
        "type": [
          "object",
          "null"
        ],
        "additionalProperties": {
          "type": "array",
          "maxItems": 10,
          "items": {
            "type": "object",
            "properties": {
              "transform": {
                "type": "object",
                "properties": {
                  "headers": {
                    "type": "object",
                    "additionalProperties": {
                      "type": "string",
                      "maxLength": 2048
                    }
                  }
                }
              }
            }
          }
        }
      },
      "NetworkUpdate": {
        "type": [
          "object",
          "null"
        ],
        "properties": {
          "allow_internet_access": {
            "type": [
              "boolean",
              "null"
            ]
          },
          "allowOut": {
            "type": [
              "array",
              "null"
            ],
            "maxItems": 1000,
            "items": {
              "type": "string",
              "maxLength": 256
            }
          },
          "denyOut": {
            "type": [
              "array",
              "null"
            ],
            "maxItems": 1000,
            "items": {
              "type": "string",
              "maxLength": 256
            }
          },
          "egressProxy": {
            "type": [
              "object",
              "null"
            ]
          },
          "rules": {
            "$ref": "#/components/schemas/NetworkRules"
          }
        }
      },
      "PauseSandbox": {
        "type": [
          "object",
          "null"
        ],
        "properties": {
          "memory": {
            "type": [
              "boolean",
              "null"
            ]
          },
          "requireHealthyGuest": {
            "type": [
              "boolean",
              "null"
            ]
          }
        }
      },
      "ResumeSandbox": {
        "type": "object",
        "properties": {
          "timeout": {
            "type": "integer",
            "default": 15,
            "minimum": 0,
            "maximum": 2147483647
          },
          "autoPause": {
            "type": [
              "boolean",
              "null"
            ]
          },
          "memory": {
            "type": [
              "boolean",
              "null"
            ],
            "description": "False: boot from the files"
          }
        }
      },
      "RefreshSandbox": {
        "type": [
          "object",
          "null"
        ],
        "properties": {
          "duration": {
            "type": "integer",
            "minimum": 0,
            "maximum": 3600
          }
        }
      },
      "SnapshotSandbox": {
        "type": [
          "object",
          "null"
        ],
        "properties": {
          "name": {
            "type": [
              "string",
              "null"
            ],
            "minLength": 1,
            "maxLength": 256
          },
          "memory": {
            "type": [
              "boolean",
              "null"
            ],
            "description": "Refused where the runtime copies files only"
          }
        }
      },
      "ForkSandbox": {
        "type": [
          "object",
          "null"
        ],
        "properties": {
          "timeout": {
            "type": "integer",
            "minimum": 0,
            "maximum": 2147483647
          },
          "count": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100
          }
        }
      },
      "ForkResult": {
        "type": "object",
        "properties": {
          "sandbox": {
            "$ref": "#/components/schemas/Sandbox"
          },
          "error": {
            "$ref": "#/components/schemas/Error"
          }
        }
      },
      "Snapshot": {
        "type": "object",
        "required": [
          "snapshotID",
          "names"
        ],
        "properties": {
          "snapshotID": {
            "type": "string",
            "description": "Creates sandboxes as a template's id does"
          },
          "names": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "Without the tag"
          }
        }
      },
      "TemplateAlias": {
        "type": "object",
        "required": [
          "templateID",
          "public"
        ],
        "properties": {
          "templateID": {
            "type": "string"
          },
          "public": {
            "type": "boolean"
          }
        }
      },
      "CollectGarbage": {
        "type": [
          "object",
          "null"
        ],
        "properties": {
          "all": {
            "type": [
              "boolean",
              "null"
            ],
            "description": "True: empties the cache of builds, whatever it may keep"
          }
        }
      },
      "StockTemplate": {
        "type": "object",
        "required": [
          "templateID",
          "names",
          "state",
          "current",
          "progress",
          "buildID",
          "reason",
          "cpuCount",
          "memoryMB"
        ],
        "properties": {
          "templateID": {
            "type": "string"
          },
          "names": {
            "type": "array",
            "items": {
              "type": "string"
            }
          },
          "state": {
            "type": "string",
            "enum": [
              "ready",
              "building",
              "failed",
              "missing"
            ]
          },
          "current": {
            "type": "boolean",
            "description": "False: what sandboxes get, if anything, is of an earlier recipe"
          },
          "progress": {
            "type": [
              "string",
              "null"
            ],
            "description": "How far a build that runs is"
          },
          "buildID": {
            "type": [
              "string",
              "null"
            ],
            "description": "Of the newest build"
          },
          "reason": {
            "type": [
              "string",
              "null"
            ],
            "description": "Why that failed"
          },
          "cpuCount": {
            "type": "integer"
          },
          "memoryMB": {
            "type": "integer"
          }
        }
      },
      "BuildStock": {
        "type": [
          "object",
          "null"
        ],
        "properties": {
          "force": {
            "type": [
              "boolean",
              "null"
            ],
            "description": "True: makes every step again"
          }
        }
      },
      "StockBuild": {
        "type": "object",
        "required": [
          "templateID",
          "buildID",
          "status"
        ],
        "properties": {
          "templateID": {
            "type": "string"
          },
          "buildID": {
            "type": "string"
          },
          "status": {
            "$ref": "#/components/schemas/BuildStatus"
          }
        }
      },
      "Collected": {
        "type": "object",
        "required": [
          "builds",
          "images",
          "layers",
          "files",
          "bytes"
        ],
        "properties": {
          "builds": {
            "type": "integer"
          },
          "images": {
            "type": "integer",
            "description": "Of earlier recipes of stock templates"
          },
          "layers": {
            "type": "integer"
          },
          "files": {
            "type": "integer",
            "description": "Uploaded archives"
          },
          "bytes": {
            "type": "integer"
          }
        }
      },
      "CancelCounts": {
        "type": "object",
        "required": [
          "cancelledCount",
          "failedCount"
        ],
        "properties": {
          "cancelledCount": {
            "type": "integer"
          },
          "failedCount": {
            "type": "integer"
          }
        }
      },
      "NewTemplate": {
        "type": "object",
        "properties": {
          "name": {
            "type": [
              "string",
              "null"
            ],
            "maxLength": 512,
            "description": "With or without namespace and tag"
          },
          "alias": {
            "type": [
              "string",
              "null"
            ],
            "maxLength": 512,
            "description": "What older clients call `name`"
          },
          "tags": {
            "type": [
              "array",
              "null"
            ],
            "maxItems": 100,
            "items": {
              "type": "string",
              "maxLength": 256
            }
          },
          "teamID": {
            "type": [
              "string",
              "null"
            ],
            "maxLength": 128,
            "description": "Of the API key; there is no other"
          },
          "cpuCount": {
            "type": [
              "integer",
              "null"
            ],
            "minimum": -2147483648,
            "maximum": 2147483647
          },
          "memoryMB": {
            "type": [
              "integer",
              "null"
            ],
            "minimum": -2147483648,
            "maximum": 2147483647
          },
          "minFreeDiskMb": {
            "type": [
              "integer",
              "null"
            ],
            "minimum": 0,
            "maximum": 67108864
          }
        }
      },
      "NewTemplateV2": {
        "type": "object",
        "required": [
          "alias"
        ],
        "properties": {
          "alias": {
            "type": "string",
            "minLength": 1,
            "maxLength": 512,
            "description": "With or without namespace and tag"
          },
          "teamID": {
            "type": [
              "string",
              "null"
            ],
            "maxLength": 128,
            "description": "Of the API key; there is no other"
          },
          "cpuCount": {
            "type": [
              "integer",
              "null"
            ],
            "minimum": -2147483648,
            "maximum": 2147483647
          },
          "memoryMB": {
            "type": [
              "integer",
              "null"
            ],
            "minimum": -2147483648,
            "maximum": 2147483647
          }
        }
      },
      "TemplateBuildRequest": {
        "type": "object",
        "required": [
          "dockerfile"
        ],
        "properties": {
          "dockerfile": {
            "type": "string",
            "description": "At most 64 KiB, 2000 lines and 8000 words"
          },
          "alias": {
            "type": [
              "string",
              "null"
            ],
            "maxLength": 512,
            "description": "With or without namespace and tag"
          },
          "teamID": {
            "type": [
              "string",
              "null"
            ],
            "maxLength": 128,
            "description": "Of the API key; there is no other"
          },
          "startCmd": {
            "type": [
              "string",
              "null"
            ]
          },
          "readyCmd": {
            "type": [
              "string",
              "null"
            ]
          },
          "cpuCount": {
            "type": [
              "integer",
              "null"
            ],
            "minimum": -2147483648,
            "maximum": 2147483647
          },
          "memoryMB": {
            "type": [
              "integer",
              "null"
            ],
            "minimum": -2147483648,
            "maximum": 2147483647
          }
        }
      },
      "TemplateLegacy": {
        "type": "object",
        "required": [
          "templateID",
          "buildID",
          "buildCount",
          "cpuCount",
          "memoryMB",
          "diskSizeMB",
          "envdVersion",
          "public",
          "aliases",
          "createdAt",
          "updatedAt",
          "createdBy",
          "lastSpawnedAt",
          "spawnCount"
        ],
        "properties": {
          "templateID": {
            "type": "string"
          },
          "buildID": {
            "type": "string",
            "description": "To be started"
          },
          "buildCount": {
            "type": "integer"
          },
          "cpuCount": {
            "type": "integer"
          },
          "memoryMB": {
            "type": "integer"
          },
          "diskSizeMB": {
            "type": "integer"
          },
          "envdVersion": {
            "type": "string"
          },
          "public": {
            "type": "boolean"
          },
          "aliases": {
            "type": "array",
            "items": {
              "type": "string"
            }
          },
          "createdAt": {
            "type": "string",
            "format": "date-time"
          },
          "updatedAt": {
            "type": "string",
            "format": "date-time"
          },
          "createdBy": {
            "type": "null"
          },
          "lastSpawnedAt": {
            "type": [
              "string",
              "null"
            ],
            "format": "date-time"
          },
          "spawnCount": {
            "type": "integer"
          }
        }
      },
      "CreatedTemplate": {
        "type": "object",
        "required": [
          "templateID",
          "buildID",
          "public",
          "names",
          "tags",
          "aliases"
        ],
        "properties": {
          "templateID": {
            "type": "string"
          },
          "buildID": {
            "type": "string",
            "format": "uuid"
          },
          "public": {
            "type": "boolean"
          },
          "names": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "With their namespace"
          },
          "tags": {
            "type": "array",
            "items": {
              "type": "string"
            }
          },
          "aliases": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "Without namespace"
          }
        }
      },
      "TemplateFiles": {
        "type": "object",
        "required": [
          "present",
          "url"
        ],
        "properties": {
          "present": {
            "type": "boolean"
          },
          "url": {
            "type": "string",
            "description": "For one PUT, within an hour"
          }
        }
      },
      "StartBuild": {
        "type": "object",
        "properties": {
          "fromImage": {
            "type": [
              "string",
              "null"
            ]
          },
          "fromTemplate": {
            "type": [
              "string",
              "null"
            ]
          },
          "fromImageRegistry": {
            "anyOf": [
              {
                "type": "null"
              },
              {
                "type": "object",
                "required": [
                  "type",
                  "username",
                  "password"
                ],
                "properties": {
                  "type": {
                    "const": "registry"
                  },
                  "username": {
                    "type": "string",
                    "maxLength": 1024
                  },
                  "password": {
                    "type": "string",
                    "maxLength": 65536
                  }
                }
              },
              {
                "type": "object",
                "required": [
                  "type",
                  "awsAccessKeyId",
                  "awsSecretAccessKey",
                  "awsRegion"
                ],
                "properties": {
                  "type": {
                    "const": "aws"
                  },
                  "awsAccessKeyId": {
                    "type": "string",
                    "maxLength": 1024
                  },
                  "awsSecretAccessKey": {
                    "type": "string",
                    "maxLength": 1024
                  },
                  "awsRegion": {
                    "type": "string",
                    "maxLength": 128
                  }
                }
              },
              {
                "type": "object",
                "required": [
                  "type",
                  "serviceAccountJson"
                ],
                "properties": {
                  "type": {
                    "const": "gcp"
                  },
                  "serviceAccountJson": {
                    "type": "string",
                    "maxLength": 65536
                  }
                }
              }
            ]
          },
          "steps": {
            "type": "array",
            "maxItems": 1000,
            "items": {
              "type": "object",
              "required": [
                "type"
              ],
              "properties": {
                "type": {
                  "type": "string",
                  "maxLength": 64
                },
                "args": {
                  "type": "array",
                  "maxItems": 2000,
                  "items": {
                    "type": "string"
                  }
                },
                "filesHash": {
                  "type": [
                    "string",
                    "null"
                  ],
                  "maxLength": 64
                },
                "force": {
                  "type": "boolean"
                }
              }
            }
          },
          "force": {
            "type": "boolean"
          },
          "startCmd": {
            "type": [
              "string",
              "null"
            ]
          },
          "readyCmd": {
            "type": [
              "string",
              "null"
            ]
          }
        }
      },
      "TemplateNames": {
        "type": "object",
        "required": [
          "names"
        ],
        "properties": {
          "names": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "With their namespace"
          }
        }
      },
      "TemplateUpdate": {
        "type": "object",
        "properties": {
          "public": {
            "type": [
              "boolean",
              "null"
            ],
            "description": "True: other teams may make sandboxes of it"
          }
        }
      },
      "ListAllTemplatesQuery": {
        "type": "object",
        "properties": {
          "teamID": {
            "type": "string",
            "maxLength": 128,
            "description": "Of the API key; there is no other"
          }
        }
      },
      "ListTemplatesQuery": {
        "type": "object",
        "properties": {
          "teamID": {
            "type": "string",
            "maxLength": 128,
            "description": "Of the API key; there is no other"
          },
          "nextToken": {
            "type": "string",
            "maxLength": 512
          },
          "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
            "default": 100
          }
        }
      },
      "PageQuery": {
        "type": "object",
        "properties": {
          "nextToken": {
            "type": "string",
            "maxLength": 512
          },
          "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
            "default": 100
          }
        }
      },
      "Template": {
        "type": "object",
        "required": [
          "templateID",
          "buildID",
          "buildStatus",
          "buildCount",
          "cpuCount",
          "memoryMB",
          "diskSizeMB",
          "envdVersion",
          "public",
          "aliases",
          "names",
          "createdAt",
          "updatedAt",
          "createdBy",
          "lastSpawnedAt",
          "spawnCount"
        ],
        "properties": {
          "templateID": {
            "type": "string"
          },
          "buildID": {
            "type": "string",
            "description": "Of the newest build that is ready, else of the newest"
          },
          "buildStatus": {
            "$ref": "#/components/schemas/BuildStatus"
          },
          "buildCount": {
            "type": "integer"
          },
          "cpuCount": {
            "type": "integer"
          },
          "memoryMB": {
            "type": "integer"
          },
          "diskSizeMB": {
            "type": "integer"
          },
          "envdVersion": {
            "type": "string"
          },
          "public": {
            "type": "boolean"
          },
          "aliases": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "Without namespace"
          },
          "names": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "With their namespace"
          },
          "createdAt": {
            "type": "string",
            "format": "date-time"
          },
          "updatedAt": {
            "type": "string",
            "format": "date-time"
          },
          "createdBy": {
            "type": "null",
            "description": "There are no users here"
          },
          "lastSpawnedAt": {
            "type": [
              "string",
              "null"
            ],
            "format": "date-time"
          },
          "spawnCount": {
            "type": "integer",
            "description": "Sandboxes that were ever made of it"
          }
        }
      },
      "BuildStatus": {
        "type": "string",
        "enum": [
          "building",
          "waiting",
          "ready",
          "error"
        ]
      },
      "TemplateWithBuilds": {
        "type": "object",
        "required": [
          "templateID",
          "public",
          "aliases",
          "names",
          "createdAt",
          "updatedAt",
          "lastSpawnedAt",
          "spawnCount",
          "builds"
        ],
        "properties": {
          "templateID": {
            "type": "string"
          },
          "public": {
            "type": "boolean"
          },
          "aliases": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "Without namespace"
          },
          "names": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "With their namespace"
          },
          "createdAt": {
            "type": "string",
            "format": "date-time"
          },
          "updatedAt": {
            "type": "string",
            "format": "date-time"
          },
          "lastSpawnedAt": {
            "type": [
              "string",
              "null"
            ],
            "format": "date-time"
          },
          "spawnCount": {
            "type": "integer"
          },
          "builds": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/TemplateBuild"
            }
          }
        }
      },
      "TemplateBuild": {
        "type": "object",
        "required": [
          "buildID",
          "status",
          "createdAt",
          "updatedAt",
          "cpuCount",
          "memoryMB"
        ],
        "properties": {
          "buildID": {
            "type": "string",
            "format": "uuid"
          },
          "status": {
            "$ref": "#/components/schemas/BuildStatus"
          },
          "createdAt": {
            "type": "string",
            "format": "date-time"
          },
          "updatedAt": {
            "type": "string",
            "format": "date-time"
          },
          "finishedAt": {
            "type": "string",
            "format": "date-time"
          },
          "cpuCount": {
            "type": "integer"
          },
          "memoryMB": {
            "type": "integer"
          },
          "diskSizeMB": {
            "type": "integer"
          },
          "envdVersion": {
            "type": "string"
          }
        }
      },
      "BuildStatusQuery": {
        "type": "object",
        "properties": {
          "logsOffset": {
            "type": "integer",
            "minimum": 0,
            "maximum": 2147483647,
            "default": 0
          },
          "limit": {
            "type": "integer",
            "minimum": 0,
            "maximum": 100,
            "default": 100
          },
          "level": {
            "type": "string",
            "maxLength": 16,
            "description": "This one and those above it"
          }
        }
      },
      "BuildLogsQuery": {
        "type": "object",
        "properties": {
          "cursor": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9223372036854776000,
            "description": "Unix milliseconds"
          },
          "limit": {
            "type": "integer",
            "minimum": 0,
            "maximum": 100,
            "default": 100
          },
          "direction": {
            "type": "string",
            "enum": [
              "forward",
              "backward"
            ],
            "default": "forward"
          },
          "level": {
            "type": "string",
            "maxLength": 16,
            "description": "This one and those above it"
          },
          "source": {
            "type": "string",
            "enum": [
              "temporary",
              "persistent"
            ],
            "description": "There is one log"
          }
        }
      },
      "BuildLogEntry": {
        "type": "object",
        "required": [
          "timestamp",
          "message",
          "level"
        ],
        "properties": {
          "timestamp": {
            "type": "string",
            "format": "date-time"
          },
          "message": {
            "type": "string"
          },
          "level": {
            "type": "string",
            "enum": [
              "debug",
              "info",
              "warn",
              "error"
            ]
          },
          "step": {
            "type": "string",
            "description": "`base`, `finalize`, or a step's number from 1 on"
          }
        }
      },
      "TemplateBuildLogs": {
        "type": "object",
        "required": [
          "logs"
        ],
        "properties": {
          "logs": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/BuildLogEntry"
            }
          }
        }
      },
      "TemplateBuildInfo": {
        "type": "object",
        "required": [
          "templateID",
          "buildID",
          "status",
          "logs",
          "logEntries"
        ],
        "properties": {
          "templateID": {
            "type": "string"
          },
          "buildID": {
            "type": "string"
          },
          "status": {
            "$ref": "#/components/schemas/BuildStatus"
          },
          "logs": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "Empty; `logEntries` has them"
          },
          "logEntries": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/BuildLogEntry"
            }
          },
          "reason": {
            "type": "object",
            "required": [
              "message"
            ],
            "properties": {
              "message": {
                "type": "string"
              },
              "step": {
                "type": "string",
                "description": "As of log entries"
              },
              "logEntries": {
                "type": "array",
                "items": {
                  "$ref": "#/components/schemas/BuildLogEntry"
                }
              }
            }
          }
        }
      },
      "AssignTags": {
        "type": "object",
        "required": [
          "target",
          "tags"
        ],
        "properties": {
          "target": {
            "type": "string",
            "maxLength": 512,
            "description": "Name or id, with an optional `:tag`"
          },
          "tags": {
            "type": "array",
            "minItems": 1,
            "maxItems": 100,
            "items": {
              "type": "string",
              "maxLength": 256
            }
          }
        }
      },
      "AssignedTags": {
        "type": "object",
        "required": [
          "tags",
          "buildID"
        ],
        "properties": {
          "tags": {
            "type": "array",
            "items": {
              "type": "string"
            }
          },
          "buildID": {
            "type": "string",
            "format": "uuid"
          }
        }
      },
      "RemoveTags": {
        "type": "object",
        "required": [
          "name",
          "tags"
        ],
        "properties": {
          "name": {
            "type": "string",
            "maxLength": 512,
            "description": "Name or id"
          },
          "tags": {
            "type": "array",
            "minItems": 1,
            "maxItems": 100,
            "items": {
              "type": "string",
              "maxLength": 256
            }
          }
        }
      },
      "TemplateTag": {
        "type": "object",
        "required": [
          "tag",
          "buildID",
          "createdAt"
        ],
        "properties": {
          "tag": {
            "type": "string"
          },
          "buildID": {
            "type": "string",
            "format": "uuid"
          },
          "createdAt": {
            "type": "string",
            "format": "date-time"
          }
        }
      },
      "ListSnapshotsQuery": {
        "type": "object",
        "properties": {
          "sandboxID": {
            "type": "string",
            "maxLength": 128
          },
          "name": {
            "type": "string",
            "maxLength": 512
          },
          "nextToken": {
            "type": "string",
            "maxLength": 512
          },
          "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
            "default": 100
          }
        }
      },
      "ListRunningQuery": {
        "type": "object",
        "properties": {
          "metadata": {
            "type": "string",
            "maxLength": 65536
          }
        }
      },
      "ConnectSandbox": {
        "type": "object",
        "required": [
          "timeout"
        ],
        "properties": {
          "timeout": {
            "type": "integer",
            "minimum": 0,
            "maximum": 2147483647
          },
          "memory": {
            "type": [
              "boolean",
              "null"
            ]
          }
        }
      },
      "ConnectSandboxV2": {
        "type": [
          "object",
          "null"
        ],
        "properties": {
          "timeout": {
            "type": "integer",
            "minimum": 1,
            "maximum": 2147483647,
            "default": 300
          },
          "memory": {
            "type": [
              "boolean",
              "null"
            ]
          }
        }
      },
      "SandboxTimeout": {
        "type": "object",
        "required": [
          "timeout"
        ],
        "properties": {
          "timeout": {
            "type": "integer",
            "minimum": -2147483648,
            "maximum": 2147483647,
            "description": "0 or less ends the sandbox now"
          }
        }
      },
      "ListQuery": {
        "type": "object",
        "properties": {
          "metadata": {
            "type": "string",
            "maxLength": 65536
          },
          "state": {
            "type": "string",
            "pattern": "^(running|paused)(,(running|paused))*$"
          },
          "order": {
            "type": "string",
            "enum": [
              "asc",
              "desc"
            ],
            "default": "desc"
          },
          "startedAfter": {
            "type": "string",
            "format": "date-time"
          },
          "template": {
            "type": "string",
            "maxLength": 512
          },
          "nextToken": {
            "type": "string",
            "maxLength": 512
          },
          "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
            "default": 100
          }
        }
      },
      "Sandbox": {
        "type": "object",
        "required": [
          "templateID",
          "sandboxID",
          "clientID",
          "envdVersion"
        ],
        "properties": {
          "templateID": {
            "type": "string"
          },
          "sandboxID": {
            "type": "string"
          },
          "clientID": {
            "type": "string",
            "description": "Obsolete; the same for all"
          },
          "envdVersion": {
            "type": "string"
          },
          "alias": {
            "type": "string"
          },
          "envdAccessToken": {
            "type": "string",
            "description": "Only of secured sandboxes"
          },
          "trafficAccessToken": {
            "type": "string",
            "description": "Only where ports ask for it"
          },
          "domain": {
            "type": [
              "string",
              "null"
            ],
            "description": "Sandbox hosts are `<port>-<id>.<domain>`"
          }
        }
      },
      "ListedSandbox": {
        "type": "object",
        "required": [
          "templateID",
          "sandboxID",
          "clientID",
          "startedAt",
          "endAt",
          "envdVersion",
          "cpuCount",
          "memoryMB",
          "diskSizeMB",
          "state"
        ],
        "properties": {
          "templateID": {
            "type": "string"
          },
          "sandboxID": {
            "type": "string"
          },
          "clientID": {
            "type": "string"
          },
          "alias": {
            "type": "string"
          },
          "startedAt": {
            "type": "string",
            "format": "date-time"
          },
          "endAt": {
            "type": "string",
            "format": "date-time"
          },
          "envdVersion": {
            "type": "string"
          },
          "cpuCount": {
            "type": "integer"
          },
          "memoryMB": {
            "type": "integer"
          },
          "diskSizeMB": {
            "type": "integer"
          },
          "state": {
            "type": "string",
            "enum": [
              "running",
              "paused"
            ]
          },
          "metadata": {
            "$ref": "#/components/schemas/Metadata"
          }
        }
      },
      "SandboxDetail": {
        "allOf": [
          {
            "$ref": "#/components/schemas/ListedSandbox"
          },
          {
            "type": "object",
            "properties": {
              "envdAccessToken": {
                "type": "string"
              },
              "domain": {
                "type": [
                  "string",
                  "null"
                ]
              },
              "allowInternetAccess": {
                "type": [
                  "boolean",
                  "null"
                ]
              },
              "network": {
                "$ref": "#/components/schemas/Network"
              },
              "pauseMode": {
                "type": "string",
                "enum": [
                  "full",
                  "filesystem"
                ],
                "description": "Of a paused one"
              },
              "lifecycle": {
                "type": "object",
                "required": [
                  "autoResume",
                  "onTimeout"
                ],
                "properties": {
                  "autoResume": {
                    "type": "boolean"
                  },
                  "onTimeout": {
                    "type": "string",
                    "enum": [
                      "kill",
                      "pause"
                    ]
                  }
                }
              }
            }
          }
        ]
      },
      "Team": {
        "type": "object",
        "required": [
          "teamID",
          "name",
          "apiKey",
          "isDefault"
        ],
        "properties": {
          "teamID": {
            "type": "string",
            "format": "uuid"
          },
          "name": {
            "type": "string"
          },
          "apiKey": {
            "type": "string",
            "description": "The key that asks; empty for the operator"
          },
          "isDefault": {
            "type": "boolean"
          }
        }
      },
      "TeamMetricsQuery": {
        "type": "object",
        "properties": {
          "start": {
            "type": "integer",
            "minimum": 0,
            "maximum": 10413791999,
            "description": "Unix seconds, up to 2299"
          },
          "end": {
            "type": "integer",
            "minimum": 0,
            "maximum": 10413791999,
            "description": "Unix seconds, up to 2299"
          }
        }
      },
      "MaxTeamMetricQuery": {
        "type": "object",
        "required": [
          "metric"
        ],
        "properties": {
          "start": {
            "type": "integer",
            "minimum": 0,
            "maximum": 10413791999,
            "description": "Unix seconds, up to 2299"
          },
          "end": {
            "type": "integer",
            "minimum": 0,
            "maximum": 10413791999,
            "description": "Unix seconds, up to 2299"
          },
          "metric": {
            "type": "string",
            "enum": [
              "concurrent_sandboxes",
              "sandbox_start_rate"
            ]
          }
        }
      },
      "TeamMetric": {
        "type": "object",
        "required": [
          "timestamp",
          "timestampUnix",
          "concurrentSandboxes",
          "sandboxStartRate"
        ],
        "properties": {
          "timestamp": {
            "type": "string",
            "format": "date-time"
          },
          "timestampUnix": {
            "type": "integer",
            "description": "Seconds"
          },
          "concurrentSandboxes": {
            "type": "integer"
          },
          "sandboxStartRate": {
            "type": "number",
            "description": "Sandboxes that started per second"
          }
        }
      },
      "MaxTeamMetric": {
        "type": "object",
        "required": [
          "timestamp",
          "timestampUnix",
          "value"
        ],
        "properties": {
          "timestamp": {
            "type": "string",
            "format": "date-time"
          },
          "timestampUnix": {
            "type": "integer",
            "description": "Seconds"
          },
          "value": {
            "type": "number"
          }
        }
      },
      "ApiKeyName": {
        "type": "object",
        "required": [
          "name"
        ],
        "properties": {
          "name": {
            "type": "string",
            "minLength": 1,
            "maxLength": 256
          }
        }
      },
      "ApiKey": {
        "type": "object",
        "required": [
          "id",
          "name",
          "mask",
          "createdAt",
          "createdBy",
          "lastUsed"
        ],
        "properties": {
          "id": {
            "type": "string",
            "format": "uuid"
          },
          "name": {
            "type": "string"
          },
          "mask": {
            "type": "object",
            "required": [
              "prefix",
              "valueLength",
              "maskedValuePrefix",
              "maskedValueSuffix"
            ],
            "properties": {
              "prefix": {
                "type": "string"
              },
              "valueLength": {
                "type": "integer",
                "description": "Characters behind the prefix"
              },
              "maskedValuePrefix": {
                "type": "string"
              },
              "maskedValueSuffix": {
                "type": "string"
              }
            }
          },
          "createdAt": {
            "type": "string",
            "format": "date-time"
          },
          "createdBy": {
            "type": "null",
            "description": "There are no users here"
          },
          "lastUsed": {
            "type": [
              "string",
              "null"
            ],
            "format": "date-time",
            "description": "To the minute"
          }
        }
      },
      "CreatedApiKey": {
        "allOf": [
          {
            "$ref": "#/components/schemas/ApiKey"
          },
          {
            "type": "object",
            "required": [
              "key"
            ],
            "properties": {
              "key": {
                "type": "string"
              }
            }
          }
        ]
      },
      "NodeStatus": {
        "type": "object",
        "required": [
          "status"
        ],
        "properties": {
          "clusterID": {
            "type": "string",
            "maxLength": 64
          },
          "status": {
            "type": "string",
            "enum": [
              "ready",
              "draining"
            ]
          }
        }
      },
      "Node": {
        "type": "object",
        "required": [
          "id",
          "clusterID",
          "serviceInstanceID",
          "version",
          "commit",
          "status",
          "sandboxCount",
          "sandboxStartingCount",
          "createSuccesses",
          "createFails",
          "machineInfo",
          "metrics"
        ],
        "properties": {
          "id": {
            "type": "string"
          },
          "clusterID": {
            "type": "string",
            "format": "uuid"
          },
          "serviceInstanceID": {
            "type": "string",
            "format": "uuid",
            "description": "Of this process"
          },
          "version": {
            "type": "string"
          },
          "commit": {
            "type": "string",
            "description": "Empty"
          },
          "status": {
            "type": "string",
            "enum": [
              "ready",
              "draining"
            ]
          },
          "sandboxCount": {
            "type": "integer"
          },
          "sandboxStartingCount": {
            "type": "integer"
          },
          "createSuccesses": {
            "type": "integer",
            "description": "Since the server started"
          },
          "createFails": {
            "type": "integer",
            "description": "Since the server started"
          },
          "machineInfo": {
            "type": "object",
            "required": [
              "cpuArchitecture",
              "cpuFamily",
              "cpuModel",
              "cpuModelName"
            ],
            "properties": {
              "cpuArchitecture": {
                "type": "string"
              },
              "cpuFamily": {
                "type": "string"
              },
              "cpuModel": {
                "type": "string"
              },
              "cpuModelName": {
                "type": "string"
              }
            }
          },
          "metrics": {
            "$ref": "#/components/schemas/NodeMetrics"
          }
        }
      },
      "NodeMetrics": {
        "type": "object",
        "required": [
          "allocatedCPU",
          "allocatedMemoryBytes",
          "cpuCount",
          "cpuPercent",
          "memoryTotalBytes",
          "memoryUsedBytes",
          "disks"
        ],
        "properties": {
          "allocatedCPU": {
            "type": "integer",
            "description": "Of all sandboxes that run"
          },
          "allocatedMemoryBytes": {
            "type": "integer",
            "description": "Of all sandboxes that run"
          },
          "cpuCount": {
            "type": "integer"
          },
          "cpuPercent": {
            "type": "integer",
            "minimum": 0,
            "maximum": 100
          },
          "memoryTotalBytes": {
            "type": "integer"
          },
          "memoryUsedBytes": {
            "type": "integer"
          },
          "disks": {
            "type": "array",
            "items": {
              "type": "object",
              "required": [
                "mountPoint",
                "device",
                "filesystemType",
                "totalBytes",
                "usedBytes"
              ],
              "properties": {
                "mountPoint": {
                  "type": "string"
                },
                "device": {
                  "type": "string"
                },
                "filesystemType": {
                  "type": "string"
                },
                "totalBytes": {
                  "type": "integer"
                },
                "usedBytes": {
                  "type": "integer"
                }
              }
            }
          }
        }
      },
      "NodeDetail": {
        "allOf": [
          {
            "$ref": "#/components/schemas/Node"
          },
          {
            "type": "object",
            "required": [
              "cachedBuilds"
            ],
            "properties": {
              "cachedBuilds": {
                "type": "array",
                "items": {
                  "type": "string"
                }
              }
            }
          }
        ]
      },
      "KillCounts": {
        "type": "object",
        "required": [
          "killedCount",
          "failedCount"
        ],
        "properties": {
          "killedCount": {
            "type": "integer"
          },
          "failedCount": {
            "type": "integer"
          }
        }
      },
      "MetricsQuery": {
        "type": "object",
        "properties": {
          "start": {
            "type": "integer",
            "minimum": 0,
            "maximum": 253402300799,
            "description": "Unix seconds"
          },
          "end": {
            "type": "integer",
            "minimum": 0,
            "maximum": 253402300799,
            "description": "Unix seconds"
          }
        }
      },
      "BatchMetricsQuery": {
        "type": "object",
        "required": [
          "sandbox_ids"
        ],
        "properties": {
          "sandbox_ids": {
            "type": "string",
            "maxLength": 8192,
            "description": "1 to 100, with commas between them"
          }
        }
      },
      "LogsQueryV1": {
        "type": "object",
        "properties": {
          "start": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9223372036854776000,
            "description": "Unix milliseconds"
          },
          "limit": {
            "type": "integer",
            "minimum": 0,
            "maximum": 1000,
            "default": 1000
          }
        }
      },
      "LogsQuery": {
        "type": "object",
        "properties": {
          "cursor": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9223372036854776000,
            "description": "Unix milliseconds"
          },
          "limit": {
            "type": "integer",
            "minimum": 0,
            "maximum": 1000,
            "default": 1000
          },
          "direction": {
            "type": "string",
            "enum": [
              "forward",
              "backward"
            ],
            "default": "forward"
          },
          "level": {
            "type": "string",
            "maxLength": 16,
            "description": "This one and those above it"
          },
          "search": {
            "type": "string",
            "maxLength": 256,
            "description": "Has to occur in the message, in the same case"
          }
        }
      },
      "EventsQuery": {
        "type": "object",
        "properties": {
          "offset": {
            "type": "integer",
            "minimum": 0,
            "maximum": 10000,
            "default": 0
          },
          "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
            "default": 10
          },
          "orderAsc": {
            "type": "boolean",
            "default": false
          },
          "types": {
            "description": "With commas between them, or repeated",
            "anyOf": [
              {
                "type": "string",
                "maxLength": 1024
              },
              {
                "type": "array",
                "maxItems": 32,
                "items": {
                  "type": "string",
                  "maxLength": 1024
                }
              }
            ]
          }
        }
      },
      "NewWebhook": {
        "type": "object",
        "required": [
          "name",
          "url",
          "signatureSecret"
        ],
        "properties": {
          "name": {
            "type": "string",
            "minLength": 1,
            "maxLength": 256
          },
          "url": {
            "type": "string",
            "minLength": 1,
            "maxLength": 2048
          },
          "enabled": {
            "type": "boolean",
            "default": true
          },
          "events": {
            "type": "array",
            "maxItems": 32,
            "default": [],
            "items": {
              "type": "string"
            },
            "description": "None: all"
          },
          "signatureSecret": {
            "type": "string",
            "minLength": 16,
            "maxLength": 256
          }
        }
      },
      "WebhookUpdate": {
        "type": "object",
        "properties": {
          "name": {
            "type": "string",
            "minLength": 1,
            "maxLength": 256
          },
          "url": {
            "type": "string",
            "minLength": 1,
            "maxLength": 2048
          },
          "enabled": {
            "type": "boolean"
          },
          "events": {
            "type": "array",
            "maxItems": 32,
            "items": {
              "type": "string"
            }
          },
          "signatureSecret": {
            "type": "string",
            "minLength": 16,
            "maxLength": 256
          }
        }
      }
    }
  }
}
