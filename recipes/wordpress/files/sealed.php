<?php
// A grain reaches no network, and its pages request nothing of other servers: no avatars, no emoji as pictures, and no welcome
// to the editor, whose pictures lie elsewhere.
add_filter('pre_option_show_avatars', '__return_zero');
add_filter('pre_get_avatar_data', function ($data) {
    $data['url'] = includes_url('images/blank.gif');
    return $data;
});
add_filter('emoji_svg_url', '__return_false');
foreach (['wp_head', 'admin_print_scripts', 'embed_head'] as $hook) {
    remove_action($hook, 'print_emoji_detection_script', $hook === 'wp_head' ? 7 : 10);
}
// The languages that could be fetched: none.
add_filter('translations_api', function () {
    return ['translations' => []];
});
// A new blog asks its own address whether /2026/11/29/hello-world/ is served as a page, which nginx does. No such request comes through
// to the grain from inside.
add_action('wp_install', function () {
    global $wp_rewrite;
    $wp_rewrite->set_permalink_structure('/%year%/%monthnum%/%day%/%postname%/');
    $wp_rewrite->flush_rules();
});
// Names of hosts to look up beforehand: its own, without the port.
remove_action('wp_head', 'wp_resource_hints', 2);
// A feed names itself without the port, too.
add_filter('self_link', function () {
    return home_url($_SERVER['REQUEST_URI']);
});
add_filter('default_user_metadata', function ($value, $user, $key, $single) {
    global $wpdb;
    if ($key !== $wpdb->get_blog_prefix() . 'persisted_preferences') {
        return $value;
    }
    $met = ['welcomeGuide' => false];
    $preferences = ['core/edit-post' => $met, 'core/edit-site' => $met + ['welcomeGuideStyles' => false],
        'core/edit-widgets' => $met, 'core/customize-widgets' => $met];
    return $single ? $preferences : [$preferences];
}, 10, 4);
