/** Entry point. Without scripts, the page still shows all photos and links to all crops. */

import { setUpFilters } from "./filters.js";
import { setUpKeyboard } from "./keyboard.js";
import { setUpViewer } from "./viewer.js";

setUpFilters();
setUpViewer();
setUpKeyboard();
