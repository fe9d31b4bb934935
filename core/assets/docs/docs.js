"use strict";

// `validatorUrl: null`: by itself Swagger UI would show the document to a service elsewhere.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  validatorUrl: null,
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
});
