// Where and how the service speaks tus 1.0.

/** Resumable uploads. */
export const UPLOADS = "/api/uploads";

/** What every request to them says. */
export const TUS = { "Tus-Resumable": "1.0.0" };
