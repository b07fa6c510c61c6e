// What a front end would write: Uppy's dashboard and its tus plugin.
import Uppy from "@uppy/core";
import Dashboard from "@uppy/dashboard";
import Tus from "@uppy/tus";

const { uploads, token } = window.settings;

const uppy = new Uppy()
  .use(Dashboard, { inline: true, target: "#uploads", hideProgressDetails: false })
  .use(Tus, { endpoint: uploads, headers: { Authorization: `Bearer ${token}` }, retryDelays: [100, 300, 1000] });

// The address that an upload of this page got, for the test to look at.
uppy.on("upload-success", (file, response) => {
  window.uploadUrl = response.uploadURL;
});
