// What `import "@jam-storage/react/styles.css"` is for a compiler: a module without exports.

export {};
